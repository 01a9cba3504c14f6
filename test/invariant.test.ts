// The one assertion of the code base.
import { expect, it } from "vitest";
import { InvariantError, invariant } from "../src/invariant.ts";

it("stops with the message when what was expected does not hold", () => {
  expect(() => invariant(false, "offset 3 is below 4")).toThrow(new InvariantError("offset 3 is below 4"));
});

it("lets everything true pass, and narrows the type", () => {
  const value: string | undefined = ["text"][0];
  invariant(value !== undefined, "there is one");
  expect(value.length).toBe(4);
});
