//! Tells the linker the order of what calls use (order.ld, made by bench/order.mjs), so that it lies on few pages. GNU's and
//! LLVM's linker understand this, as programs and by way of gcc.

use std::env;

fn main() {
    let order = format!("{}/order.ld", env::var("CARGO_MANIFEST_DIR").expect("cargo runs this"));
    println!("cargo::rerun-if-changed={order}");
    // Headers, constants and code are one segment, so that what comes first of each lies together; nobody can write to it.
    for argument in [&*format!("-T{order}"), "-z", "noseparate-code"] {
        println!("cargo::rustc-link-arg-bin=plugin={argument}");
    }
    // Where everything came to lie, for bench/order.mjs.
    println!("cargo::rerun-if-env-changed=WEFT_MAP");
    if let Ok(map) = env::var("WEFT_MAP") {
        println!("cargo::rustc-link-arg-bin=plugin=-Wl,-Map={map}");
    }
}
