//! Bodies that two readers of JSON could read differently, or that a reader should not have to read.

/// Body, HTTP status and rule of a refusal: the same at each door that takes JSON.
pub fn bodies() -> Vec<(String, u16, &'static str)> {
    vec![
        (format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)), 400, "too_deep"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"one","method":"another"}"#.to_owned(), 400, "duplicate_key"),
        (r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"one"}"#.to_owned(), 400, "bad_number"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"#.to_owned(), 400, "not_json"),
        (format!("\"{}\"", "x".repeat((2 << 20) + 1024)), 413, "body_too_large"),
    ]
}
