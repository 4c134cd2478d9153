"""GET of the HTTP listener, and what /metrics says."""

import http.client
import re


def get(shop, path="/metrics"):
    connection = http.client.HTTPConnection(shop.host.addresses["http"], timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def metrics(shop):
    """{name{labels}: value}; every line is what Prometheus reads."""
    answer, text = get(shop)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples, family = {}, None
    for line in text.splitlines():
        if line.startswith("# "):
            family = line.split(" ")[2]
            continue
        match = re.fullmatch(r'([a-z_]+)(\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? (-?[0-9.]+(?:e[+-][0-9]+)?)', line)
        assert match and match[1] == family, line
        assert line.rsplit(" ", 1)[0] not in samples, "each once"
        samples[line.rsplit(" ", 1)[0]] = float(match[3])
    return samples
