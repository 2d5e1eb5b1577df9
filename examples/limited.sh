#!/bin/sh
# Runs a command in a control group of its own with a limit of memory, as a container or a batch system does:
#
#     sudo sh examples/limited.sh 160M python3 nightly.py
#
# It needs root, and version 1 or 2 of control groups with the memory controller. Ends with the command's status, or with
# 125 where there can be no such group.
set -eu
limit=$1
shift
if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    group=/sys/fs/cgroup/memory/limited-$$
    file=memory.limit_in_bytes swap=memory.memsw.limit_in_bytes swap_limit=$limit
else
    group=/sys/fs/cgroup/limited-$$
    file=memory.max swap=memory.swap.max swap_limit=0
fi
if ! mkdir "$group" || ! echo "$limit" > "$group/$file"; then
    echo "limited.sh: there can be no control group here: it takes root and the memory controller" >&2
    rmdir "$group" 2> /dev/null || true
    exit 125
fi
# Swap is not counted everywhere.
echo "$swap_limit" 2> /dev/null > "$group/$swap" || true
status=0
# The shell that joins the group is replaced by the command.
sh -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$group" "$@" || status=$?
# The last process may still be on its way out.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rmdir "$group" 2> /dev/null && break
    sleep 0.1
done
exit "$status"
