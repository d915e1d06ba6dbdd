"""Connects to a socket as one process, hands the connection to another program, and ends when it is told to.

Usage: inherited-connection.py SOCKET NODE SCRIPT FILE ASK
Prints its own process id and the other's; the other has the connection as file descriptor 3. Ends when FILE is there.
"""

import os
import socket
import sys
import time

path, node, script, end, ask = sys.argv[1:6]
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
os.dup2(connection.fileno(), 3)
os.set_inheritable(3, True)
first = os.getpid()
child = os.fork()
if child == 0:
    os.setsid()
    os.execv(node, [node, script, ask])
print(first, child, flush=True)
while not os.path.exists(end):
    time.sleep(0.02)
os._exit(0)
