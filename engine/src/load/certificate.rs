//! A certificate for one address, signed by itself: enough for a client that is told to trust exactly this one.
//!
//! Written by hand because it is the only certificate Iris ever makes, and one form of it.

use std::net::IpAddr;

use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, KeyPair, ECDSA_P256_SHA256_ASN1_SIGNING};

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const UTF8: u8 = 0x0c;
const TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const ADDRESS: u8 = 0x87; // the form of a name that is an IP address
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 0x04, 0x03];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x11];
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Certificate (DER) and private key (PKCS#8, DER). It does not expire in practice: its key lives as long as one run.
pub fn self_signed(address: IpAddr) -> Result<(Vec<u8>, Vec<u8>), String> {
    let random = SystemRandom::new();
    let signing = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(signing, &random).map_err(|error| error.to_string())?;
    let pair = EcdsaKeyPair::from_pkcs8(signing, key.as_ref(), &random)
        .map_err(|error| error.to_string())?;
    let algorithm = der(SEQUENCE, &[ECDSA_WITH_SHA256]);
    let body = body(address, pair.public_key().as_ref(), &algorithm);
    let signature = pair
        .sign(&random, &body)
        .map_err(|error| error.to_string())?;
    let certificate = der(SEQUENCE, &[&body, &algorithm, &bits(signature.as_ref())]);
    Ok((certificate, key.as_ref().to_vec()))
}

fn body(address: IpAddr, public_key: &[u8], algorithm: &[u8]) -> Vec<u8> {
    let common_name = der(SEQUENCE, &[COMMON_NAME, &der(UTF8, &[b"iris bench"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&common_name])]);
    let (from, until) = (
        der(TIME, &[b"20240101000000Z"]),
        der(TIME, &[b"20991231235959Z"]),
    );
    let kind = der(SEQUENCE, &[EC_PUBLIC_KEY, P256]);
    let address = match address {
        IpAddr::V4(v4) => der(ADDRESS, &[&v4.octets()]),
        IpAddr::V6(v6) => der(ADDRESS, &[&v6.octets()]),
    };
    let names = der(OCTETS, &[&der(SEQUENCE, &[&address])]);
    let extension = der(SEQUENCE, &[SUBJECT_ALTERNATIVE_NAME, &names]);
    der(
        SEQUENCE,
        &[
            &der(VERSION, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&[1]]), // serial number
            algorithm,
            &name, // issuer
            &der(SEQUENCE, &[&from, &until]),
            &name, // subject
            &der(SEQUENCE, &[&kind, &bits(public_key)]),
            &der(EXTENSIONS, &[&der(SEQUENCE, &[&extension])]),
        ],
    )
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    der(BITS, &[&[0], bytes])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match length {
        0..=127 => out.push(length as u8),
        128..=255 => out.extend_from_slice(&[0x81, length as u8]),
        _ => {
            out.push(0x82);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::danger::ServerCertVerifier;
    use rustls::client::WebPkiServerVerifier;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::RootCertStore;

    use super::*;

    #[test]
    fn a_verifier_that_trusts_it_takes_it_for_its_address_only() {
        let (certificate, _) = self_signed("127.0.0.1".parse().unwrap()).unwrap();
        let certificate = CertificateDer::from(certificate);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let check = |address: &str| {
            let name = ServerName::try_from(address.to_owned()).unwrap();
            verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
        };
        check("127.0.0.1").unwrap();
        check("127.0.0.2").unwrap_err();
        check("localhost").unwrap_err();
    }
}
