// The seam of chance. Ids need `bytes`; jitter and sampling need `uniform`.

/** Where randomness comes from. The real side is `SystemRandom` in `system-random.ts`; simulations pass a seeded one. */
export interface Random {
  /** `count` fresh bytes, unpredictable on the real side. */
  bytes(count: number): Uint8Array;
  /** A number in [0, 1). */
  uniform(): number;
}
