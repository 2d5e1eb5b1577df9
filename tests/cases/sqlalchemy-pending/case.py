"""An importer in a worker thread that adds rows to a scoped session and flushes at the end only.

The session lives in the thread-local registry of scoped_session(); each pending object stays in its `_new`.

bad:  session.add() for all rows, one commit at the end
good: commit and expunge after every 500 rows
"""
import sys
import threading
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

ROWS = 90_000
engine = create_engine("sqlite://")
Session = scoped_session(sessionmaker(bind=engine, autoflush=False))


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[str] = mapped_column(String(40))
    note: Mapped[str] = mapped_column(String(900))


def load(number):
    Session.add(Reading(id=number, sensor="sensor-%d" % (number % 50), note="n%07d " % number * 60))


def work(variant):
    Base.metadata.create_all(engine)
    for number in range(ROWS):
        load(number)
        if variant == "good" and number % 500 == 499:
            Session.rollback()
    if variant == "bad":
        pending = len(Session().new)
        Session.rollback()
        print("rolled back", pending)
    print(Session.scalar(select(func.count()).select_from(Reading)))
    Session.remove()


def main(variant):
    worker = threading.Thread(target=work, args=(variant,))
    worker.start()
    worker.join()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
