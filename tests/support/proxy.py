"""A TCP proxy between two servers whose link can be cut, held and mended, and which counts what it carried."""
import select
import socket
import threading

from . import ports


class Proxy:
    def __init__(self, target):
        self.target = target
        self.port = ports.take()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.pairs = []
        self.lock = threading.Lock()
        self.refusing = False
        self.held = threading.Event()
        self.held.set()
        self.carried = 0
        self.accepted = 0
        self.closed = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while not self.closed:
            try:
                outer, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                outer.close()
                continue
            try:
                inner = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                outer.close()
                continue
            self.accepted += 1
            with self.lock:
                self.pairs.append((outer, inner))
            threading.Thread(target=self._carry, args=(outer, inner), daemon=True).start()

    def _carry(self, outer, inner):
        try:
            while True:
                ready, _, _ = select.select([outer, inner], [], [], 0.2)
                self.held.wait()
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    self.carried += len(data)
                    (inner if source is outer else outer).sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            outer.close()
            inner.close()

    def cut(self, refuse=False):
        """Breaks every connection; with `refuse`, new ones are refused until mend()."""
        self.refusing = refuse
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def mend(self):
        self.refusing = False
        self.held.set()

    def hold(self):
        """Carries nothing until mend(); the connections stay open."""
        self.held.clear()

    def close(self):
        self.closed = True
        self.held.set()
        self.cut(refuse=True)
        # shutdown() wakes the accept(); close() alone would not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        ports.give_back(self.port)
