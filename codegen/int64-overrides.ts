// The int64 fields that are `bigint` instead of `number`, as `Message.Struct.Field` (the message's own fields as
// `Message.Field`). A number refuses what lies outside ±2^53; that is right for offsets, sizes, ids and times the
// broker gives out, which can never get there. It is wrong only where a client may legally send an extreme that means
// something, most of all Long.MAX_VALUE for "for ever" or "after everything": those are listed here, with the reason.

/** Paths of the fields whose type is `bigint`. */
export const INT64_OVERRIDES: ReadonlyMap<string, string> = new Map([
  ["FetchRequest.FetchPartition.HighWatermark", 'its default is Long.MAX_VALUE, "unknown"'],
  [
    "ListOffsetsRequest.ListOffsetsPartition.Timestamp",
    "offsetsForTimes(Long.MAX_VALUE) asks for what lies after everything",
  ],
  ["CreateDelegationTokenRequest.MaxLifetimeMs", "Long.MAX_VALUE asks for a token without end"],
  ["RenewDelegationTokenRequest.RenewPeriodMs", "Long.MAX_VALUE asks for the longest period allowed"],
  ["ExpireDelegationTokenRequest.ExpiryTimePeriodMs", "Long.MAX_VALUE asks for the longest period allowed"],
]);
