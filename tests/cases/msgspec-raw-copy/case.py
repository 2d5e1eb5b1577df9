"""Messages whose payload is kept undecoded and copied out of the buffer (msgspec pull request 709).

Raw.copy() makes a bytes object and hands it to Raw_New(), which takes a reference of its own; before 0.19 the first
one was never given back, so each payload stays for ever.
"""
import sys
import msgspec


class Message(msgspec.Struct):
    id: int
    payload: msgspec.Raw


def receive(decoder, number):
    line = b'{"id": %d, "payload": "%s"}' % (number, b"p" * 40_000)
    message = decoder.decode(line)
    payload = message.payload.copy()
    return len(bytes(payload))


def main(messages):
    decoder = msgspec.json.Decoder(Message)
    total = 0
    for number in range(messages):
        total += receive(decoder, number)
    print("received", total)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
