//! What each command does. `Ok(false)` is an answer that means no; an error is a sentence.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;

use atrion_license::format::MAX_KEY_BYTES;
use atrion_license::issue::{Issuer, Terms, unverified_claims};
use atrion_license::keyring::KeyUse;
use atrion_license::{
    Claims, Identifier, KeySource, Keyring, Status, SystemWallClock, Tier, WallClock as _,
};

use crate::args::{Input, IssueArgs};

/// Makes a key pair.
pub(crate) fn keygen(out: &Path, id: Option<Identifier>) -> Result<bool, String> {
    let id = match id {
        Some(id) => id,
        None => named("key")?,
    };
    let mut seed = [0; 32];
    random(&mut seed)?;
    let issuer = Issuer::from_seed(id.clone(), KeyUse::Vendor, &seed);
    let (private, public) = (out.join(format!("{id}.key")), out.join(format!("{id}.pub")));
    write_new(&private, &issuer.private_text(), true)?;
    write_new(&public, &issuer.public_text(), false)?;
    println!("{}\n    secret: whoever has it can issue licences", private.display());
    println!("{}\n    goes into the product's folder keys/", public.display());
    Ok(true)
}

/// Issues a licence.
pub(crate) fn issue(args: &IssueArgs) -> Result<bool, String> {
    let path = &args.key;
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let issuer = Issuer::from_text(&text).map_err(|e| wrong(&e))?;
    let licence = match &args.licence {
        Some(licence) => licence.clone(),
        None => named("lic")?,
    };
    let mut terms = Terms::new(args.tier, licence, &args.licensee, SystemWallClock.now());
    terms = terms.days(args.days);
    if let Some(clusters) = args.clusters {
        terms = terms.clusters(clusters);
    }
    if let Some(start) = args.not_before {
        terms = terms.not_before(start);
    }
    print_key(&issuer, &terms)
}

/// Makes a development key.
pub(crate) fn dev(days: u32, licensee: &str) -> Result<bool, String> {
    let issuer = Issuer::development().map_err(|e| e.to_string())?;
    let now = SystemWallClock.now();
    let terms = Terms::new(Tier::Development, named("dev")?, licensee, now).days(days);
    print_key(&issuer, &terms)
}

fn print_key(issuer: &Issuer, terms: &Terms) -> Result<bool, String> {
    let refused = |e| format!("such a licence cannot be issued: {e}");
    println!("{}", issuer.issue(terms).map_err(refused)?);
    Ok(true)
}

/// Shows what a key says.
pub(crate) fn inspect(input: &Input) -> Result<bool, String> {
    let Some(key) = read(input)? else {
        println!("{}", Status::Missing);
        return Ok(false);
    };
    let claims = match unverified_claims(&key) {
        Ok(claims) => claims,
        Err(why) => {
            println!("the key cannot be read: {why}");
            return Ok(false);
        }
    };
    print_claims(&claims);
    match Keyring::embedded().verify(&key) {
        Ok(licence) => println!("signature   good\n{}", licence.status_at(SystemWallClock.now())),
        Err(why) => println!("signature   NOT ACCEPTED: {why}"),
    }
    Ok(true)
}

fn print_claims(claims: &Claims) {
    let limit = |limit: Option<u32>| limit.map_or("no limit".to_owned(), |n| n.to_string());
    println!("licence     {}", claims.licence_id());
    println!("licensee    {}", claims.licensee());
    println!("tier        {}", claims.tier());
    if claims.tier().is_for_production() {
        println!("clusters    {}", limit(claims.cluster_limit()));
    } else {
        println!("clusters    none in production");
    }
    println!("nodes       {}", limit(claims.node_limit()));
    println!("issued      {}", claims.issued());
    println!("not before  {}", claims.not_before());
    println!("expires     {} (works until {})", claims.expires(), claims.grace_ends());
    println!("signed by   {}", claims.key_id());
}

/// Checks a key; the answer is whether the licence works now.
pub(crate) fn verify(input: &Input, keys: Option<&Path>) -> Result<bool, String> {
    let keyring = match keys {
        None => Keyring::embedded(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| Keyring::from_text(&text).map_err(|e| e.to_string()))
            .map_err(|why| format!("{}: {why}", path.display()))?,
    };
    let now = SystemWallClock.now();
    let status = read(input)?.map_or(Status::Missing, |key| keyring.assess(&key, now));
    println!("{}: {status}", status.code());
    Ok(status.is_usable())
}

fn read(input: &Input) -> Result<Option<String>, String> {
    let source = match input {
        Input::Environment => KeySource::default(),
        Input::Key(key) => KeySource::Inline(key.clone()),
        Input::File(path) => KeySource::File(path.clone()),
        Input::Stdin => {
            let mut text = String::new();
            let most = u64::try_from(MAX_KEY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let read = std::io::stdin().take(most).read_to_string(&mut text);
            read.map_err(|e| format!("the standard input cannot be read: {e}"))?;
            KeySource::Inline(text.trim_ascii().to_owned())
        }
    };
    let key = source.read().map_err(|e| e.to_string())?;
    Ok(key.map(|key| key.as_str().to_owned()))
}

/// Writes a file that must not be there yet; a secret one for its owner only.
fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

fn random(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|e| format!("the system has no random numbers: {e}"))
}

/// A name nobody else has: `lic-` and 64 random bits.
fn named(kind: &str) -> Result<Identifier, String> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    let name = format!("{kind}-{:016x}", u64::from_be_bytes(bytes));
    name.parse().map_err(|_| format!("`{name}` is no identifier"))
}
