//! Encrypted connections: whom to trust and what to show.

use std::fmt;

use thiserror::Error;

use crate::secret::Secret;

/// How connections are encrypted, where the URL asks for it.
///
/// By default the server's certificate has to be signed by an authority that the operating system
/// trusts, and the client shows none. Certificates and host names are always checked; there is no
/// switch for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    authorities: Option<Pem>,
    identity: Option<(Pem, Secret)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Pem(String);

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of PEM", self.0.len())
    }
}

/// The options for encrypted connections cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text given as trusted authorities.
    #[error("TLS: the trusted authorities are not usable: {0}")]
    Authorities(String),
    /// The operating system's trusted authorities.
    #[error(
        "TLS: the operating system has no trusted authorities ({0}); install its \
         ca-certificates or name the authorities in the options"
    )]
    NoSystemAuthorities(String),
    /// The text given as the client's own certificate or key.
    #[error("TLS: the client's certificate or key is not usable: {0}")]
    Identity(String),
}

impl TlsOptions {
    /// Trusts the authorities whose certificates are in this PEM text, and no others.
    #[must_use]
    pub fn trusting(mut self, authorities_pem: impl Into<String>) -> Self {
        self.authorities = Some(Pem(authorities_pem.into()));
        self
    }

    /// Shows this certificate (with its chain) to the server and proves it with this key.
    #[must_use]
    pub fn with_identity(
        mut self,
        certificate_pem: impl Into<String>,
        key_pem: impl Into<String>,
    ) -> Self {
        self.identity = Some((Pem(certificate_pem.into()), Secret::new(key_pem)));
        self
    }
}

#[cfg(feature = "tls")]
mod config {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ClientConfig, RootCertStore};

    use super::{TlsError, TlsOptions};

    impl TlsOptions {
        /// The settings for `rustls`.
        ///
        /// The provider of the cryptography is named here and not left to the process's default: with
        /// two of them in a build there is none, and rustls would panic.
        ///
        /// # Errors
        /// [`TlsError`] says which of the options cannot be used, and shows nothing of it.
        pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|e| TlsError::Identity(e.to_string()))?
                .with_root_certificates(self.roots()?);
            let Some((chain, key)) = &self.identity else {
                return Ok(builder.with_no_client_auth());
            };
            let chain = certificates(&chain.0).map_err(TlsError::Identity)?;
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                .map_err(|e| TlsError::Identity(format!("the key: {e}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| TlsError::Identity(e.to_string()))
        }

        fn roots(&self) -> Result<RootCertStore, TlsError> {
            let mut roots = RootCertStore::empty();
            if let Some(pem) = &self.authorities {
                for certificate in certificates(&pem.0).map_err(TlsError::Authorities)? {
                    roots.add(certificate).map_err(|e| TlsError::Authorities(e.to_string()))?;
                }
                return Ok(roots);
            }
            let found = rustls_native_certs::load_native_certs();
            // Systems carry a few certificates that rustls cannot read; the others do.
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
                return Err(TlsError::NoSystemAuthorities(why.join("; ")));
            }
            Ok(roots)
        }
    }

    fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| format!("the certificate: {e}"))?;
        if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
    }

    #[cfg(test)]
    mod tests {
        use super::super::*;

        #[test]
        fn what_is_no_certificate_is_refused_without_being_shown() {
            for text in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nhunter2\n"] {
                let options = TlsOptions::default().trusting(text).with_identity(text, text);
                let error = options.client_config().expect_err("no certificate");
                assert!(matches!(error, TlsError::Authorities(_)), "{error}");
                let shown = format!("{error} {error:?} {options:?}");
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }
}
