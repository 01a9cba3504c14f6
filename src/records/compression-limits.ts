// What bounds the work of one decompression beside the bytes that come out.

/**
 * Most blocks or frames of one compressed body. Each costs microseconds however little it holds, so that a body of
 * nothing but tiny blocks would hold up the loop. Clients cut blocks of 32 KiB and more: 64 MiB are 2,048 of those.
 */
export const COMPRESSED_BLOCKS_MAX = 8192;
