"""A process for the crash tests: `python pop3_worker.py FOLDER` serves POP3 over the store below FOLDER and prints its port."""

import sys
from pathlib import Path

from support.pop3_server import Pop3Server

if __name__ == "__main__":
    print(Pop3Server(Path(sys.argv[1])).tls_port, flush=True)
    sys.stdin.read()
