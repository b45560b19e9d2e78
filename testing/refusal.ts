// The error of something that must fail, so that a test looks at its code, message and details.
import { CniError } from "../lib/cni/error.ts";

/** The CniError that `body` throws or rejects with; anything else it throws comes through. */
export async function refusalOf(body: () => unknown): Promise<CniError> {
  try {
    await body();
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
