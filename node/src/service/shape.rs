//! The forms of ids, keys, hashes and amounts in JSON, for the description of the native API: their types live in crates
//! that know no JSON.

use super::view::Minor;
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

fn text(description: &str, pattern: &str, example: &str) -> RefOr<Schema> {
    let form = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    form.description(Some(description)).pattern(Some(pattern)).examples([example]).build().into()
}

/// Names a form under which schemas refer to it.
macro_rules! forms {
    ($($name:ident, $description:literal, $pattern:literal, $example:literal;)*) => {$(
        #[doc = $description]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($description, $pattern, $example)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

forms! {
    AgentIdText, "An agent: the hash of its first key, with a checksum.", "^cm1[a-z2-7]{56}$",
        "cm1e4uxs6xbqtn6jj3cdwwdiwncxnrn56tlc2qvdkwqodvcgkaq5h5sxiac";
    DomainIdText, "A domain: the hash of its first root key, with a checksum.", "^cm1[a-z2-7]{56}$",
        "cm1e4uxs6xbqtn6jj3cdwwdiwncxnrn56tlc2qvdkwqodvcgkaq5h5sxiac";
    KeyText, "An ed25519 public key as did:key.", "^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$",
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";
    HashText, "A SHA-256 hash.", "^[0-9a-f]{64}$",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    ShortIdText, "An id that its client chose: 16 bytes.", "^[0-9a-f]{32}$", "8f14e45fceea167a5a36dedd4bea2543";
    AssetCodeText, "A currency or asset code.", "^[A-Z0-9]{1,12}$", "USD";
    Base64Text, "Bytes in base64 with padding.", "^[A-Za-z0-9+/]*={0,2}$", "AAEC";
}

impl PartialSchema for Minor {
    fn schema() -> RefOr<Schema> {
        text("Minor units of an asset.", "^[0-9]{1,20}$", "5000000")
    }
}

impl ToSchema for Minor {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Minor")
    }
}
