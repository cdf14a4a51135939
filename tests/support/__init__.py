"""What the tests stand on: programs, ports, servers, clusters, a raw RESP client and a proxy that can be cut."""
