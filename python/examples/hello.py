import fusd, sys

def say(call, size, offset):
    return b"Hello, world!\n"[offset:offset + size]

with fusd.device(sys.argv[1] if len(sys.argv) > 1 else "hello", read=say) as device:
    print("ready", flush=True)
    device.wait()
