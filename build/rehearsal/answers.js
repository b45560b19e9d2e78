// What host functions answer where a call is rehearsed (host/src/rehearsal.rs): what they answered when it was recorded.
// The build says which file that is (build/embedded.mjs).
import recorded from "recorded";

const calls = Object.values(recorded).values();
let answers;
let makeError;
let strayed = false;

/** Begins with the next call; false where there is none. */
export function begin() {
  const { value, done } = calls.next();
  answers = value?.values().toArray().reverse();
  return !done;
}

/** How many answers the call did not come to; none, where it is still what it was. */
export const left = () => (strayed ? Math.max(1, answers.length) : answers.length);

export function answer(name, first) {
  if (name === "onError") {
    makeError = first;
    return undefined;
  }
  const [recordedName, value, refused] = answers.at(-1) ?? [];
  if (recordedName !== name) {
    strayed = true;
    throw new Error(`recorded was ${recordedName}, not ${name}`);
  }
  answers.pop();
  if (refused !== undefined) throw makeError(...refused);
  return typeof value?.bytes === "string" ? Uint8Array.fromBase64(value.bytes) : (value ?? undefined);
}
