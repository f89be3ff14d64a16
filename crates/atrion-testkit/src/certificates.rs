//! An authority and what it has signed, made anew for every test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::Failure;

/// The certificates of a small private network, as PEM texts.
pub struct Certificates {
    /// The authority's certificate: what clients trust.
    pub authority: String,
    /// The server's certificate, for `localhost` and `127.0.0.1`.
    pub server: String,
    /// The server's key.
    pub server_key: String,
    /// A client's certificate.
    pub client: String,
    /// The client's key.
    pub client_key: String,
}

impl Certificates {
    /// Makes an authority, and has it sign a server's and a client's certificate.
    ///
    /// # Errors
    /// [`Failure`] if the cryptography refuses.
    pub fn new() -> Result<Self, Failure> {
        Self::make().map_err(|e| Failure::new(format!("certificates cannot be made: {e}")))
    }

    fn make() -> Result<Self, rcgen::Error> {
        let mut params = named("Atrion's test authority", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let signed = |names: &[&str]| {
            let key = KeyPair::generate()?;
            let name = names.first().copied().unwrap_or_default();
            let certificate = named(name, names)?.signed_by(&key, &authority)?;
            Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
        };
        let (server, server_key) = signed(&["localhost", "127.0.0.1"])?;
        let (client, client_key) = signed(&["client"])?;
        Ok(Self { authority: authority.pem(), server, server_key, client, client_key })
    }
}

/// Whoever has the same name as the authority is taken for it by some.
fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
