export async function buildNodeEngine() {
  throw new Error("x");
}
