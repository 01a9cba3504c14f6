// The warnings of brokers that follow from what is done to them; any other one is a finding.

/** What brokers may warn of when the scenarios of a cluster are done to them. */
export const expectedWarnings: readonly string[] = [
  "a broker does not answer and is given no shards",
  "a peer refuses connections and is fenced",
  "a watch broke, listing again",
  "flush pipeline gives the session up",
  // What a group decided when its partition was on its way out: its new coordinator never saw it.
  "group is read again after a failed write",
  "keep-alive failed",
  "metadata call failed, trying again",
  // A probe that the network delivers late undoes the one after it: its bytes are not those that were just written.
  "no session could be registered",
  "put failed",
  "read failed, trying again",
  "session ends",
  "these variables are set and not read",
  // A session that begins anew while its broker is cut off looks at the bucket first.
  "the object store does not answer, trying again",
  "this broker alone is cut off from the object store",
];
