"""What a stranger's URL may lead to."""

import pytest

from mailward.api import HttpFailed
from mailward.services.http import PublicHttp
from mailward.testing import FakeZone


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "10.0.0.1:8443", "[::ffff:127.0.0.1]", "127.1", "2130706433", "127.0.0.01", "[64:ff9b::7f00:1]"],
)
async def test_t_net_05_an_address_in_the_url_is_no_way_into_our_own_networks(host: str) -> None:
    http = PublicHttp(FakeZone())
    with pytest.raises(HttpFailed, match="is not public"):
        await http.get(f"https://{host}/x", limit_octets=10, limit_s=5)
