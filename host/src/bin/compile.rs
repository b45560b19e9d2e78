//! Compiles one bundled module to bytecode: `compile NAME IN.js OUT.bc`. Runs on the build machine only.

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::{Declared, WriteOptions};
use rquickjs::{CatchResultExt, Context, Ctx, Module, Result, Runtime};

/// Compiling resolves a module's imports; what they hold does not matter for its bytecode.
struct Anything;
impl Resolver for Anything {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _: &str, name: &str, _: Option<ImportAttributes<'js>>) -> Result<String> {
        Ok(name.to_string())
    }
}
impl Loader for Anything {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Option<ImportAttributes<'js>>) -> Result<Module<'js, Declared>> {
        Module::declare(ctx.clone(), name, "")
    }
}

fn main() {
    let [name, input, output] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("NAME IN.js OUT.bc");
    let source = std::fs::read(&input).expect("the bundled module");
    let runtime = Runtime::new().expect("memory for the engine");
    runtime.set_loader(Anything, Anything);
    let context = Context::full(&runtime).expect("memory for the engine");
    context.with(|ctx| {
        // Line numbers stay in (strip_debug: false): an operator's stack trace needs them.
        let options = WriteOptions { strip_source: true, ..WriteOptions::default() };
        let compiled = Module::declare(ctx.clone(), name, source).and_then(|module| module.write(options)).catch(&ctx);
        match compiled {
            Ok(bytecode) => std::fs::write(&output, bytecode).expect("room for the bytecode"),
            Err(error) => {
                eprintln!("{input}: {error}");
                std::process::exit(1);
            }
        }
    });
}
