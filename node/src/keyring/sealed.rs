//! A secret key at rest: sealed with a passphrase, as a text file that says how.
//!
//! ```text
//! comity sealed key 1
//! did:key:…                                   the public half, so that a person sees which key it is
//! argon2id 65536 3 1 <salt>                   KiB of memory, passes, lanes
//! chacha20poly1305 <nonce> <ciphertext>       everything above is authenticated too
//! ```
//! Argon2id with the second setting of RFC 9106: an eighth of a second and 64 MiB for each guess.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use comity_proto::{ids::PublicKey, keys::SecretKey};
use data_encoding::HEXLOWER;

/// First line of a sealed key.
pub const HEAD: &str = "comity sealed key 1";
/// What a new seal costs: KiB, passes, lanes.
const COST: (u32, u32, u32) = (65_536, 3, 1);
/// What a file may ask of its reader, at most.
const COST_MAX: (u32, u32, u32) = (1 << 20, 16, 8);
/// Shortest passphrase of a new seal.
pub const PASSPHRASE_CHARS_MIN: usize = 8;

/// Why a sealed key stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// No file of this form.
    #[error("this is no sealed key, or a part of it is missing")]
    NotSealed,
    /// It asks for more memory or time than any honest one.
    #[error("it asks for more memory or time than any honest file")]
    TooDear,
    /// Another passphrase, or a character of the file has changed.
    #[error("the passphrase is another one, or the file has changed")]
    WrongPassphrase,
}

impl Closed {
    /// Stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Closed::NotSealed => "not_a_sealed_key",
            Closed::TooDear => "sealed_key_too_dear",
            Closed::WrongPassphrase => "wrong_passphrase",
        }
    }
}

/// Whether a key file is a sealed one.
pub fn is_sealed(file: &[u8]) -> bool {
    file.starts_with(HEAD.as_bytes())
}

/// Seals a key under a fresh salt.
///
/// # Errors
/// [`Closed::TooDear`] when this machine has not the memory for it.
pub fn seal(key: &SecretKey, passphrase: &str) -> Result<String, Closed> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    comity_runtime::entropy(&mut salt);
    comity_runtime::entropy(&mut nonce);
    let (kib, passes, lanes) = COST;
    let head = format!("{HEAD}\n{}\nargon2id {kib} {passes} {lanes} {}\n", key.public(), HEXLOWER.encode(&salt));
    let cipher = cipher(passphrase, &salt, COST)?;
    let payload = Payload { msg: &key.seed(), aad: head.as_bytes() };
    let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload).map_err(|_| Closed::TooDear)?;
    Ok(format!("{head}chacha20poly1305 {} {}\n", HEXLOWER.encode(&nonce), HEXLOWER.encode(&sealed)))
}

/// Which key a sealed file says that it holds: not proved before it is opened.
///
/// # Errors
/// [`Closed::NotSealed`].
pub fn named_in(file: &[u8]) -> Result<PublicKey, Closed> {
    let text = std::str::from_utf8(file).map_err(|_| Closed::NotSealed)?;
    text.lines().nth(1).and_then(|line| line.parse().ok()).ok_or(Closed::NotSealed)
}

/// Opens a sealed key.
///
/// # Errors
/// See [`Closed`].
pub fn open(file: &[u8], passphrase: &str) -> Result<SecretKey, Closed> {
    let text = std::str::from_utf8(file).map_err(|_| Closed::NotSealed)?;
    let lines: Vec<&str> = text.lines().collect();
    let [HEAD, named, derivation, sealed] = lines[..] else { return Err(Closed::NotSealed) };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| Closed::NotSealed);
    let derivation = words(derivation);
    let [argon, kib, passes, lanes, salt] = &derivation[..] else { return Err(Closed::NotSealed) };
    let sealed = words(sealed);
    let [chacha, nonce, ciphertext] = &sealed[..] else { return Err(Closed::NotSealed) };
    if argon != "argon2id" || chacha != "chacha20poly1305" {
        return Err(Closed::NotSealed);
    }
    let number = |text: &String| text.parse::<u32>().map_err(|_| Closed::NotSealed);
    let cost = (number(kib)?, number(passes)?, number(lanes)?);
    if cost.0 > COST_MAX.0 || cost.1 > COST_MAX.1 || cost.2 > COST_MAX.2 {
        return Err(Closed::TooDear);
    }
    let nonce: [u8; 12] = hex(nonce)?.try_into().map_err(|_| Closed::NotSealed)?;
    let head = format!("{HEAD}\n{named}\n{}\n", derivation.join(" "));
    let payload = Payload { msg: &hex(ciphertext)?, aad: head.as_bytes() };
    let seed = cipher(passphrase, &hex(salt)?, cost)?.decrypt(Nonce::from_slice(&nonce), payload);
    let seed: [u8; 32] = seed.ok().and_then(|seed| seed.try_into().ok()).ok_or(Closed::WrongPassphrase)?;
    let key = SecretKey::from_seed(&seed);
    if key.public().to_string() == named { Ok(key) } else { Err(Closed::NotSealed) }
}

fn cipher(passphrase: &str, salt: &[u8], (kib, passes, lanes): (u32, u32, u32)) -> Result<ChaCha20Poly1305, Closed> {
    let params = Params::new(kib, passes, lanes, Some(32)).map_err(|_| Closed::NotSealed)?;
    let mut memory = vec![Block::default(); params.block_count()];
    let mut key = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon
        .hash_password_into_with_memory(passphrase.as_bytes(), salt, &mut key, &mut memory)
        .map_err(|_| Closed::NotSealed)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (SecretKey, String) {
        crate::runtime::tests_world();
        let key = SecretKey::from_seed(&[5; 32]);
        let text = seal(&key, "correct horse").unwrap();
        (key, text)
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_and_no_other() {
        let (key, text) = sealed();
        assert!(is_sealed(text.as_bytes()) && !text.contains(&HEXLOWER.encode(&key.seed())));
        assert_eq!(named_in(text.as_bytes()), Ok(key.public()));
        assert_eq!(open(text.as_bytes(), "correct horse").unwrap().seed(), key.seed());
        assert_eq!(open(text.as_bytes(), "correct house").unwrap_err(), Closed::WrongPassphrase);
        assert_ne!(seal(&key, "correct horse").unwrap(), text, "a fresh salt each time");
    }

    #[test]
    fn a_changed_or_cut_file_stays_closed_by_name() {
        let (_, text) = sealed();
        let refused = |text: &str| open(text.as_bytes(), "correct horse").unwrap_err();
        let other = SecretKey::from_seed(&[6; 32]).public().to_string();
        let named = text.lines().nth(1).unwrap();
        assert_eq!(refused(&text.replace(named, &other)), Closed::WrongPassphrase, "the name is authenticated");
        assert_eq!(refused(&text.replace(" 65536 3 1 ", " 65536 2 1 ")), Closed::WrongPassphrase);
        assert_eq!(refused(&text.replace(" 65536 3 1 ", " 4294967295 3 1 ")), Closed::TooDear);
        assert_eq!(refused(&text.replace("argon2id", "argon2i")), Closed::NotSealed);
        assert_eq!(refused(&text[..text.len() - 8]), Closed::NotSealed, "half a byte is missing");
        assert_eq!(refused(&text[..text.len() - 9]), Closed::WrongPassphrase, "whole bytes are missing");
        assert_eq!(refused(""), Closed::NotSealed);
    }
}
