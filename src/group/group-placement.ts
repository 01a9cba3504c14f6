// Which partition of `__consumer_offsets` a group lives in: Kafka's own rule, so that tools and other brokers agree.

/** Java's `String.hashCode`, a signed int32, made positive as Kafka does it, modulo the partition count. */
export function groupPartition(groupId: string, partitionCount: number): number {
  let hash = 0;
  for (let i = 0; i < groupId.length; i++) hash = (Math.imul(hash, 31) + groupId.charCodeAt(i)) | 0;
  return (hash & 0x7fff_ffff) % partitionCount;
}
