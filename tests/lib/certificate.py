"""Self-signed ECDSA P-256 certificates, made by openssl as an operator would."""

import hashlib
import pathlib
import ssl
import subprocess


class Certificate:
    def __init__(self, folder, domain):
        folder = pathlib.Path(folder)
        self.certificate = folder / f"{domain}.crt"
        self.private_key = folder / f"{domain}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "30", "-subj", f"/CN={domain}", "-addext",
                        f"subjectAltName=DNS:{domain},DNS:market.{domain}", "-keyout", self.private_key,
                        "-out", self.certificate], check=True, capture_output=True)

    def sha256(self):
        """Hex SHA-256 of the DER certificate, as host-client's --pin takes it."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).hexdigest()

    def client_context(self):
        """A TLS client that trusts this certificate alone."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
