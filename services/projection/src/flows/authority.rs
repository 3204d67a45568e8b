//! Which role may do what with flows: the arrows of the design.

use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};

/// What a caller wants with flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Read,
    /// Start, resume, retry or cancel.
    Move,
}

/// Admits a wish.
///
/// # Errors
/// [`Code::Forbidden`]
pub(crate) fn admit(role: Role, wish: Wish) -> Result<(), Refusal> {
    let (admitted, what) = match wish {
        Wish::Read => (
            matches!(role, Role::Gateway | Role::Site | Role::Operator),
            "reads",
        ),
        Wish::Move => (matches!(role, Role::Site | Role::Operator), "moves"),
    };
    if admitted {
        return Ok(());
    }
    let detail = format!("the role {} {what} no flows", role.as_str());
    Err(Refusal::new(Code::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_reads_and_only_people_move() {
        let may = |wish| {
            let roles = Role::ALL.into_iter().filter(|role| admit(*role, wish).is_ok());
            roles.map(Role::as_str).collect::<Vec<_>>()
        };
        assert_eq!(may(Wish::Read), ["gateway", "site", "operator"]);
        assert_eq!(may(Wish::Move), ["site", "operator"]);
        let refusal = admit(Role::Gateway, Wish::Move).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.detail.as_str()),
            (Code::Forbidden, "the role gateway moves no flows")
        );
    }
}
