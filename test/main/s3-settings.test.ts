// The variables of the bucket: what is taken, and what is refused by which name.
import { describe, expect, it } from "vitest";
import { readS3Settings, s3Variables } from "../../src/main/s3-settings.ts";
import { SettingsError } from "../../src/main/settings-error.ts";

const bucket = { KAFSCALE_S3_BUCKET: "kafscale-prod", KAFSCALE_S3_REGION: "eu-west-1" };
const local = { ...bucket, KAFSCALE_S3_ENDPOINT: "http://127.0.0.1:9000" };

function refusalOf(environment: Readonly<Record<string, string>>): string {
  try {
    readS3Settings(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return error instanceof Error ? error.message : "";
  }
  return "none";
}

describe("readS3Settings", () => {
  it("is undefined without a variable, and where all are empty", () => {
    expect(readS3Settings({ PATH: "/bin" })).toBeUndefined();
    expect(readS3Settings(Object.fromEntries(s3Variables.map((name) => [name, ""])))).toBeUndefined();
  });

  it("needs a bucket and a region for AWS, and searches keys as AWS does", () => {
    expect(readS3Settings(bucket)).toEqual({
      store: {
        bucket: "kafscale-prod",
        region: "eu-west-1",
        endpoint: undefined,
        isPathStyle: false,
        isPayloadSigned: false,
        socketsMax: 64,
        kmsKeyArn: undefined,
        attemptTimeoutMs: 10_000,
      },
      keys: { from: "chain" },
      caFile: undefined,
      namespace: undefined,
      putsPerSecond: 4,
      catchUpMibPerSecond: 40,
    });
  });

  it("takes path style for an endpoint unless told otherwise, and signs bodies only where there is no TLS", () => {
    const of = (more: Record<string, string>) => {
      const { isPathStyle, isPayloadSigned } = readS3Settings({ ...local, ...more })?.store ?? {};
      return { isPathStyle, isPayloadSigned };
    };
    expect(of({})).toEqual({ isPathStyle: true, isPayloadSigned: true });
    expect(of({ KAFSCALE_S3_ENDPOINT: "https://minio:9000/" })).toEqual({ isPathStyle: true, isPayloadSigned: false });
    expect(of({ KAFSCALE_S3_PATH_STYLE: "false", KAFSCALE_S3_PAYLOAD_SIGNING: "0" })).toEqual({
      isPathStyle: false,
      isPayloadSigned: false,
    });
    expect(readS3Settings({ ...bucket, KAFSCALE_S3_PAYLOAD_SIGNING: "true" })?.store.isPayloadSigned).toBe(true);
  });

  it("takes the key of encryption, the namespace, the connections and the authorities", () => {
    const arn = "arn:aws:kms:eu-west-1:123456789012:key/abcd";
    const more = {
      KAFSCALE_S3_KMS_ARN: arn,
      KAFSCALE_S3_NAMESPACE: "/team/orders/",
      KAFSCALE_S3_CONCURRENCY: "8",
      KAFSCALE_S3_CA_FILE: "/etc/ca.pem",
    };
    expect(readS3Settings({ ...bucket, ...more })).toMatchObject({
      store: { kmsKeyArn: arn, socketsMax: 8 },
      namespace: "team/orders",
      caFile: "/etc/ca.pem",
    });
  });

  it("takes keys from variables or from a folder", () => {
    const keys = { KAFSCALE_S3_ACCESS_KEY: "a", KAFSCALE_S3_SECRET_KEY: "s" };
    const fromVariables = { from: "variables", accessKey: "a", secretKey: "s" };
    expect(readS3Settings({ ...bucket, ...keys })?.keys).toEqual({ ...fromVariables, sessionToken: undefined });
    expect(readS3Settings({ ...bucket, ...keys, KAFSCALE_S3_SESSION_TOKEN: "t" })?.keys).toEqual({
      ...fromVariables,
      sessionToken: "t",
    });
    expect(readS3Settings({ ...bucket, KAFSCALE_S3_CREDENTIALS_DIR: "/secret" })?.keys).toEqual({
      from: "folder",
      folder: "/secret",
    });
  });

  it("refuses every half of a whole by the name of what is missing or too much", () => {
    const keys = { KAFSCALE_S3_ACCESS_KEY: "a", KAFSCALE_S3_SECRET_KEY: "s" };
    const halves: readonly (readonly [given: Record<string, string>, text: string])[] = [
      [{ KAFSCALE_S3_BUCKET: "kafscale" }, "KAFSCALE_S3_REGION is not: set the region"],
      [{ KAFSCALE_S3_REGION: "eu-west-1" }, "KAFSCALE_S3_REGION is set and KAFSCALE_S3_BUCKET is not"],
      [{ KAFSCALE_S3_ENDPOINT: "http://a:1" }, "KAFSCALE_S3_ENDPOINT is set and KAFSCALE_S3_BUCKET is not"],
      [{ ...bucket, KAFSCALE_S3_ACCESS_KEY: "a" }, "KAFSCALE_S3_ACCESS_KEY is set and KAFSCALE_S3_SECRET_KEY is not"],
      [{ ...bucket, KAFSCALE_S3_SECRET_KEY: "s" }, "KAFSCALE_S3_SECRET_KEY is set and KAFSCALE_S3_ACCESS_KEY is not"],
      [
        { ...bucket, KAFSCALE_S3_SESSION_TOKEN: "t" },
        "KAFSCALE_S3_SESSION_TOKEN is set and KAFSCALE_S3_ACCESS_KEY is not",
      ],
      [{ ...bucket, ...keys, KAFSCALE_S3_CREDENTIALS_DIR: "/secret" }, "are both set: unset one of them"],
      [{ ...local, KAFSCALE_S3_CA_FILE: "/ca" }, "KAFSCALE_S3_ENDPOINT has http://"],
      [{ ...bucket, KAFSCALE_S3_READ_BUCKET: "copy" }, "KAFSCALE_S3_READ_BUCKET is set"],
    ];
    for (const [given, text] of halves) expect(refusalOf(given)).toContain(text);
  });

  it("refuses what cannot be, with the text that is wrong", () => {
    const wrong: readonly (readonly [name: string, values: readonly string[]])[] = [
      ["KAFSCALE_S3_BUCKET", ["A", "a", "has space", "arn:aws:s3:::x"]],
      ["KAFSCALE_S3_ENDPOINT", ["127.0.0.1:9000", "ftp://a", "http://a/path", "http://user@a", "http://a?x=1"]],
      ["KAFSCALE_S3_PATH_STYLE", ["yes"]],
      ["KAFSCALE_S3_CONCURRENCY", ["0", "-1", "1001", "many"]],
      ["KAFSCALE_S3_PUTS_PER_SECOND", ["-1", "1.5", "1001"]],
      ["KAFSCALE_CATCH_UP_MIB_PER_SECOND", ["-1", "1.5", "fast"]],
      ["KAFSCALE_S3_KMS_ARN", ["key", "arn:aws:s3:::bucket"]],
      ["KAFSCALE_S3_NAMESPACE", ["a//b", "..", "a b"]],
    ];
    for (const [name, values] of wrong) {
      for (const value of values) expect(refusalOf({ ...bucket, [name]: value })).toContain(`${name} is "${value}"`);
    }
  });
});
