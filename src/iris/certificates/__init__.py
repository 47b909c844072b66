"""The certificate that a server shows: its own, one from an authority (ACME), or files of the operator.

`Certificates` says which it is and renews it while the server runs. Nothing here knows sockets of clients: the engine
is handed a new certificate by the caller. The libraries for certificates and ACME are used in this part only.
"""

from iris.certificates.files import CertificateError, fingerprint, spelled
from iris.certificates.keeper import Certificates, Identity
from iris.certificates.machine import ANY_HOST, names_here, own_address
from iris.certificates.own import keep_certificate, own_certificate

__all__ = [
    "ANY_HOST",
    "CertificateError",
    "Certificates",
    "Identity",
    "fingerprint",
    "keep_certificate",
    "names_here",
    "own_address",
    "own_certificate",
    "spelled",
]
