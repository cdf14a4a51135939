"""What the tests stand on: programs, ports, servers, clusters, a raw RESP client and a proxy that can be cut."""
import pytest

# An assertion that fails in there shows what it compared, as one in a test does.
pytest.register_assert_rewrite("support.cli")
