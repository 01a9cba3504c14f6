// What errors of the SDK and of Node mean, and the one line that a person gets.
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { DeadlineError } from "../../src/host/clock.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { isBrokenConnection, isCredentialRefusal, s3Failure } from "../../src/object-store/s3-failure.ts";

const place = { bucket: "orders", region: "eu-west-1", endpoint: undefined };

function answer(name: string, status: number, more: object = {}): Error {
  return Object.assign(new Error("of the test"), { name, $metadata: { httpStatusCode: status } }, more);
}

function transport(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

function failure(error: unknown, mayCredentialsChange = false): ObjectStoreError {
  return s3Failure("put a", error, { place, mayCredentialsChange });
}

describe("a failed call of S3", () => {
  it.each([
    [answer("NoSuchBucket", 404), "denied", "there is no bucket orders at AWS in eu-west-1"],
    [
      answer("AccessDenied", 403),
      "denied",
      "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on bucket orders",
    ],
    [answer("403", 403), "denied", "the keys lack a right"],
    [
      answer("PermanentRedirect", 301, { $response: { headers: { "x-amz-bucket-region": "us-west-2" } } }),
      "denied",
      "is in region us-west-2: set KAFSCALE_S3_REGION",
    ],
    [answer("AuthorizationHeaderMalformed", 400, { Region: "us-west-2" }), "denied", "is in region us-west-2"],
    [
      answer("400", 400, { $response: { headers: { "x-amz-bucket-region": "us-west-2" } } }),
      "denied",
      "is in region us-west-2",
    ],
    [answer("RequestTimeTooSkewed", 403), "denied", "set the clock"],
    [answer("SignatureDoesNotMatch", 403), "denied", "the secret key does not belong to the access key"],
    [answer("InvalidAccessKeyId", 403), "denied", "does not know the access key"],
    [answer("ExpiredToken", 400), "denied", "the session token has expired"],
    [transport("ECONNREFUSED"), "unavailable", "AWS in eu-west-1 cannot be reached"],
    [transport("SELF_SIGNED_CERT_IN_CHAIN"), "denied", "KAFSCALE_S3_CA_FILE"],
    [transport("EPROTO"), "denied", "is it http instead of https"],
    [transport("ECONNRESET"), "unknown", "put a: ECONNRESET"],
    [
      Object.assign(new Error("none"), { name: "CredentialsProviderError" }),
      "denied",
      "set KAFSCALE_S3_ACCESS_KEY and KAFSCALE_S3_SECRET_KEY",
    ],
    [new DeadlineError("put a had no answer"), "unknown", "had no answer"],
    [new AggregateError([transport("ECONNREFUSED"), transport("ECONNREFUSED")]), "unavailable", "cannot be reached"],
  ] as const)("says what %s means on one line", (error, kind, text) => {
    const { kind: met, message, cause } = failure(error);
    expect({ met, message }).toEqual({ met: kind, message: expect.stringContaining(text) as string });
    expect(message).not.toContain("\n");
    expect(cause).toMatchObject({ name: error.name });
  });

  it("brings neither request nor answer along, which hold signatures and tokens", () => {
    const request = { headers: { "x-amz-security-token": "canary" } };
    const error = failure(answer("AccessDenied", 403, { $response: { body: { req: request } }, request }));
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain("canary");
  });

  it("may pass when the keys that were refused can be replaced", () => {
    expect(failure(answer("ExpiredToken", 400), true).kind).toBe("unavailable");
    expect(failure(answer("AccessDenied", 403), true).kind).toBe("denied");
  });

  it("asks for newer keys after a refusal of keys, and after one that does not say why", () => {
    for (const error of [answer("ExpiredToken", 400), answer("XAdminUserNotFound", 404), answer("403", 403)]) {
      expect(isCredentialRefusal(error)).toBe(true);
    }
    for (const error of [answer("AccessDenied", 403), answer("NoSuchKey", 404), transport("ECONNRESET")]) {
      expect(isCredentialRefusal(error)).toBe(false);
    }
  });

  it("is a broken connection when there was neither an answer nor a deadline", () => {
    expect(isBrokenConnection(transport("EPIPE"))).toBe(true);
    expect(isBrokenConnection(answer("InternalError", 500))).toBe(false);
    expect(isBrokenConnection(new DeadlineError("late"))).toBe(false);
  });

  it("that was judged before stays as it is", () => {
    const judged = new ObjectStoreError("denied", "as it was");
    expect(failure(judged)).toBe(judged);
  });
});
