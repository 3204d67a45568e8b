//! The functions and macros of the profile.

use super::{Function, Invalid, Macro, Node, Refusal, Resolver, Search, Shape, Syntax, refuse};

impl<'s> Resolver<'s> {
    pub(super) fn call(
        &mut self,
        tree: &'s Syntax,
        on: Option<&'s Syntax>,
        name: &str,
        arguments: &'s [Syntax],
    ) -> Result<Node, Invalid> {
        if let Some(on) = on {
            return self.method(tree, on, name, arguments);
        }
        if name == "has" {
            return self.has(tree, arguments);
        }
        let function = match name {
            "size" => Function::Size,
            "timestamp" => Function::Timestamp,
            "string" => Function::Text,
            "int" => Function::Int,
            _ => return refuse(Refusal::UnknownFunction, tree),
        };
        match arguments {
            [argument] => Ok(Node::Function(function, self.boxed(argument)?)),
            _ => refuse(Refusal::BadArguments, tree),
        }
    }

    fn has(&mut self, tree: &'s Syntax, arguments: &'s [Syntax]) -> Result<Node, Invalid> {
        let [argument] = arguments else {
            return refuse(Refusal::BadArguments, tree);
        };
        let Shape::Member(of, name) = &argument.shape else {
            return refuse(Refusal::BadArguments, argument);
        };
        Ok(Node::Has(self.boxed(of)?, name.clone()))
    }

    fn method(
        &mut self,
        tree: &'s Syntax,
        on: &'s Syntax,
        name: &str,
        arguments: &'s [Syntax],
    ) -> Result<Node, Invalid> {
        let search = match name {
            "size" if arguments.is_empty() => return Ok(Node::Function(Function::Size, self.boxed(on)?)),
            "size" => return refuse(Refusal::BadArguments, tree),
            "startsWith" => Search::StartsWith,
            "endsWith" => Search::EndsWith,
            "contains" => Search::Contains,
            _ => return self.repeated(tree, on, name, arguments),
        };
        match arguments {
            [argument] => {
                let on = self.node(on)?;
                Ok(Node::Search(search, Box::new((on, self.node(argument)?))))
            }
            _ => refuse(Refusal::BadArguments, tree),
        }
    }

    fn repeated(
        &mut self,
        tree: &'s Syntax,
        on: &'s Syntax,
        name: &str,
        arguments: &'s [Syntax],
    ) -> Result<Node, Invalid> {
        let repeated = match name {
            "all" => Macro::All,
            "exists" => Macro::Exists,
            "exists_one" => Macro::ExistsOne,
            "filter" => Macro::Filter,
            "map" => Macro::Map,
            _ => return refuse(Refusal::UnknownFunction, tree),
        };
        let [item, body] = arguments else {
            return refuse(Refusal::BadArguments, tree);
        };
        let Shape::Name(name) = &item.shape else {
            return refuse(Refusal::BadArguments, item);
        };
        let over = self.node(on)?;
        self.items.push(name);
        let body = self.node(body)?;
        self.items.pop();
        Ok(Node::Macro(repeated, Box::new((over, body)), tree.column))
    }
}
