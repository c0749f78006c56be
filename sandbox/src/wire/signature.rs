//! The parts of a Signature Version 4 the sandbox goes by: whose key, which region, which service. The signature itself is not
//! checked: whoever reaches a loopback port may be anybody.

/// Who signed, for where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub access_key_id: String,
    /// The region of the credential scope.
    pub region: String,
    /// The service of the credential scope.
    pub service: String,
}

impl Signature {
    /// From an `Authorization` header: `AWS4-HMAC-SHA256 Credential=AKIA…/20261122/us-east-1/iam/aws4_request, …`.
    pub fn parse(authorization: &str) -> Option<Self> {
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
        let scope = rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
        let mut parts = scope.split('/');
        let (access_key_id, _date) = (parts.next()?, parts.next()?);
        let (region, service, end) = (parts.next()?, parts.next()?, parts.next()?);
        (end == "aws4_request" && parts.next().is_none()).then(|| Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_scope_tells_key_region_and_service() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122/eu-west-1/iam/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        let signature = Signature::parse(header).expect("a signature");
        assert_eq!(signature.access_key_id, "AKIAEXAMPLE");
        assert_eq!(signature.region, "eu-west-1");
        assert_eq!(signature.service, "iam");
    }

    #[test]
    fn anything_else_is_no_signature() {
        assert_eq!(Signature::parse("Bearer abc"), None);
        assert_eq!(Signature::parse("AWS4-HMAC-SHA256 Credential=AKIA/20261122/eu-west-1"), None);
        assert_eq!(Signature::parse(""), None);
    }
}
