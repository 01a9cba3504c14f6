// What a failed S3 call means: its kind, and one line that says what was met and what to do. Errors are judged by the
// store's code first, by the status where a HEAD has no code, and by Node's code where no answer came.
import { DeadlineError } from "../host/clock.ts";
import { ObjectStoreError, type ObjectStoreErrorKind } from "./object-store.ts";

/** What a message names. */
export interface S3Place {
  readonly bucket: string;
  readonly region: string;
  /** The address that was asked, or undefined for AWS's own. */
  readonly endpoint: string | undefined;
}

/** The parts of an SDK's or Node's error that say anything; each may be missing. */
interface ForeignError {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly Code?: unknown;
  readonly Region?: unknown;
  readonly errors?: unknown;
  readonly cause?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** A kind and, where something has to be done about it, what. */
interface Judgement {
  readonly kind: ObjectStoreErrorKind;
  readonly advice?: string;
}

const credentialCodes: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "InvalidToken",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
  // versitygw's, with status 404.
  "XAdminUserNotFound",
]);

/** Nothing was sent: the store could not be reached. */
const unreachedCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
]);

const certificateCode = /CERT|SIGNATURE|ISSUER|ERR_TLS/;

/** Kinds of the codes that need no further look. */
const kindByCode: Readonly<Record<string, ObjectStoreErrorKind>> = {
  NoSuchKey: "not-found",
  // A HEAD's.
  NotFound: "not-found",
  InvalidRange: "not-found",
  PreconditionFailed: "already-exists",
  ConditionalRequestConflict: "unavailable",
  OperationAborted: "unavailable",
  SlowDown: "unavailable",
  ServiceUnavailable: "unavailable",
  RequestTimeout: "unavailable",
  // The body was damaged on its way and refused: the same bytes may come through the next time.
  BadDigest: "unavailable",
  InvalidDigest: "unavailable",
  XAmzContentChecksumMismatch: "unavailable",
  XAmzContentSHA256Mismatch: "unavailable",
  InternalError: "unknown",
};

/**
 * Kinds by status, for answers without a code that is known. Not 404: something between us and the store may have
 * answered, and "there is no such object" decides too much.
 */
const kindByStatus: Readonly<Record<number, ObjectStoreErrorKind>> = {
  404: "unknown",
  408: "unavailable",
  409: "unavailable",
  412: "already-exists",
  416: "not-found",
  425: "unavailable",
  429: "unavailable",
  503: "unavailable",
  507: "unavailable",
};

function foreign(error: unknown): ForeignError {
  return typeof error === "object" && error !== null ? error : { message: String(error) };
}

/** The store's own code of an error, such as `NoSuchKey`; empty where it has none, as after a HEAD. */
function s3CodeOf(error: unknown): string {
  const { name, Code, $metadata } = foreign(error);
  if ($metadata?.httpStatusCode === undefined) return "";
  const code = typeof Code === "string" ? Code : name;
  return typeof code === "string" ? code : "";
}

/** The status of the store's answer, or undefined when there was none. */
function statusOf(error: unknown): number | undefined {
  return foreign(error).$metadata?.httpStatusCode;
}

/** Node's code of a transport error; of the first of several when each address of a name failed. */
function transportCodeOf(error: unknown): string {
  for (let at = foreign(error), depth = 0; depth < 5; at = foreign(at.cause), depth++) {
    if (typeof at.code === "string") return at.code;
    if (Array.isArray(at.errors) && at.errors.length > 0) return transportCodeOf(at.errors[0]);
    if (at.cause === undefined) break;
  }
  return "";
}

/** Whether the store refused the keys that signed the call: newer ones may do. */
export function isCredentialRefusal(error: unknown): boolean {
  if (credentialCodes.has(s3CodeOf(error))) return true;
  const status = statusOf(error);
  // A HEAD's refusal has no code: it may be the keys.
  return isWithoutCode(error) && (status === 400 || status === 401 || status === 403);
}

/** Whether the SDK has just learned how wrong this machine's clock is: the call may be sent again. */
export function isClockCorrected(error: unknown): boolean {
  return foreign(error).$metadata?.clockSkewCorrected === true;
}

/** Whether a connection broke, or was given up as silent, before there was an answer. */
export function isBrokenConnection(error: unknown): boolean {
  return error !== undefined && statusOf(error) === undefined && !(error instanceof DeadlineError);
}

/** Whether the store's certificate was not trusted: a newer list of authorities may do. */
export function isCertificateRefusal(error: unknown): boolean {
  return statusOf(error) === undefined && certificateCode.test(transportCodeOf(error));
}

function isWithoutCode(error: unknown): boolean {
  const code = s3CodeOf(error);
  return code === "" || code === "Unknown" || code === "UnknownError" || /^\d+$/.test(code) || code === "Forbidden";
}

/** What a failed call means for its caller. */
export function s3Failure(
  what: string,
  error: unknown,
  { place, mayCredentialsChange }: { readonly place: S3Place; readonly mayCredentialsChange: boolean },
): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const judged =
    statusOf(error) === undefined ? judgeTransport(error, place) : judgeAnswer(error, place, mayCredentialsChange);
  const met = metText(error);
  const text = judged.advice === undefined ? met : `${judged.advice} (${met})`;
  return new ObjectStoreError(judged.kind, `${what}: ${text}`, { cause: bareError(error) });
}

/** What an error says, without the request and the answer that the SDK hangs on it: they hold signatures and tokens. */
function bareError(error: unknown): Error {
  if (error instanceof DeadlineError) return error;
  const { name } = foreign(error);
  const bare = new Error(metText(error));
  const status = statusOf(error);
  return Object.assign(bare, {
    name: typeof name === "string" ? name : "Error",
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
  });
}

/** What was met, on one line. */
function metText(error: unknown): string {
  const { message, name } = foreign(error);
  const text = typeof message === "string" ? message.replaceAll(/\s+/g, " ").trim().slice(0, 300) : "";
  const status = statusOf(error);
  if (status === undefined)
    return [transportCodeOf(error), text].filter((part) => part !== "").join(" ") || String(name);
  const code = isWithoutCode(error) ? "" : s3CodeOf(error);
  return [String(status), code, text === code || isWithoutCode(error) ? "" : text].filter((p) => p !== "").join(" ");
}

function judgeAnswer(error: unknown, place: S3Place, mayCredentialsChange: boolean): Judgement {
  const code = s3CodeOf(error);
  const known = kindByCode[code];
  if (known !== undefined) return { kind: known };
  const status = statusOf(error) ?? 0;
  if (credentialCodes.has(code))
    return { kind: mayCredentialsChange ? "unavailable" : "denied", advice: keyAdvice(code) };
  const advice = adviceFor(error, code, place);
  if (advice !== undefined) return { kind: "denied", advice };
  const byStatus = kindByStatus[status];
  if (byStatus !== undefined) return { kind: byStatus };
  if (status === 403 || status === 401) return { kind: "denied", advice: rightsAdvice(place) };
  return { kind: status >= 500 && status !== 501 ? "unknown" : "denied" };
}

function keyAdvice(code: string): string {
  if (code === "SignatureDoesNotMatch") return "the secret key does not belong to the access key: set both anew";
  if (code === "InvalidAccessKeyId" || code === "XAdminUserNotFound")
    return "the store does not know the access key: set both keys anew";
  return "the session token has expired: give a fresh one, or keys that do not expire";
}

function rightsAdvice({ bucket }: S3Place): string {
  return `the keys lack a right: allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on bucket ${bucket}`;
}

/** What to do about a setting that the store says is wrong. */
function adviceFor(error: unknown, code: string, place: S3Place): string | undefined {
  const { bucket, region, endpoint } = place;
  const { Region, $response } = foreign(error);
  switch (code) {
    case "NoSuchBucket":
      return `there is no bucket ${bucket} at ${endpoint ?? `AWS in ${region}`}: create it, or set KAFSCALE_S3_BUCKET`;
    case "AccessDenied":
    case "AllAccessDisabled":
      return rightsAdvice(place);
    case "RequestTimeTooSkewed":
      return "this machine's clock and the store's differ by more than 15 minutes: set the clock";
    case "AuthorizationHeaderMalformed":
    case "PermanentRedirect":
    case "TemporaryRedirect":
    case "IllegalLocationConstraintException": {
      const other = Region ?? $response?.headers?.["x-amz-bucket-region"];
      const where = typeof other === "string" ? `is in region ${other}` : `is not in region ${region}`;
      return `bucket ${bucket} ${where}: set KAFSCALE_S3_REGION, which is ${region}, to the bucket's`;
    }
    default:
      break;
  }
  const moved = statusOf(error) === 301 || statusOf(error) === 307;
  const bucketRegion = $response?.headers?.["x-amz-bucket-region"];
  if (!moved && (bucketRegion === undefined || bucketRegion === region || statusOf(error) !== 400)) return undefined;
  return `bucket ${bucket} is in region ${bucketRegion ?? "another region"}: set KAFSCALE_S3_REGION, which is ${region}`;
}

function judgeTransport(error: unknown, { endpoint, region }: S3Place): Judgement {
  if (error instanceof DeadlineError) return { kind: "unknown" };
  const code = transportCodeOf(error);
  const where = endpoint ?? `AWS in ${region}`;
  if (unreachedCodes.has(code)) {
    return {
      kind: "unavailable",
      advice: `${where} cannot be reached: is KAFSCALE_S3_ENDPOINT right and the store up`,
    };
  }
  if (certificateCode.test(code)) {
    return {
      kind: "denied",
      advice: `the certificate of ${where} is not trusted: name its authority in KAFSCALE_S3_CA_FILE`,
    };
  }
  if (code === "EPROTO") return { kind: "denied", advice: `${where} does not speak TLS: is it http instead of https` };
  const { name, message } = foreign(error);
  if (name === "CredentialsProviderError" || name === "NoCredentialsError") {
    const advice =
      "there are no keys: set KAFSCALE_S3_ACCESS_KEY and KAFSCALE_S3_SECRET_KEY, or KAFSCALE_S3_CREDENTIALS_DIR";
    return { kind: "denied", advice };
  }
  const isUnconnected = typeof message === "string" && message.includes("did not establish a connection");
  return isUnconnected ? { kind: "unavailable", advice: `${where} does not take connections` } : { kind: "unknown" };
}
