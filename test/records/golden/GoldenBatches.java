// Makes and reads record batches with Kafka's own classes: `write` prints golden bytes with what Kafka reads in them,
// `read` prints what Kafka reads in the hex lines on its input. Needs kafka-clients 3.9, the last release with magic 0
// and 1:  java -cp '.tools/kafka-3.9/libs/*' test/records/golden/GoldenBatches.java write > test/records/golden/batches.json
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

public class GoldenBatches {
    static final long T = 1_700_000_000_000L;
    static final List<String> out = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) write();
        else read();
    }

    static void write() {
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type).build();
            for (byte magic = 0; magic <= 2; magic++) {
                if (type == CompressionType.ZSTD && magic < 2) continue;
                String name = "magic " + magic + " " + type.name;
                add(name, MemoryRecords.withRecords(magic, 0, codec, TimestampType.CREATE_TIME, plain(magic)));
                add(name + ", 40 records", MemoryRecords.withRecords(magic, 0, codec, TimestampType.CREATE_TIME, many(magic)));
            }
            add("LogAppendTime " + type.name, MemoryRecords.withRecords((byte) 2, 7, codec, TimestampType.LOG_APPEND_TIME, plain((byte) 2)));
        }
        add("idempotent", MemoryRecords.withIdempotentRecords((byte) 2, 0, Compression.NONE, 4711, (short) 3, 2147483646, 5, plain((byte) 2)));
        add("transactional", MemoryRecords.withTransactionalRecords((byte) 2, 1L << 40, Compression.NONE, 4711, (short) 3, 12, 5, plain((byte) 2)));
        add("commit marker", MemoryRecords.withEndTransactionMarker(99, T, 5, 4711, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 6)));
        add("timestamps far apart", MemoryRecords.withRecords(Compression.NONE,
            new SimpleRecord(T, bytes("k"), bytes("v")), new SimpleRecord(-1L, (byte[]) null, (byte[]) null), new SimpleRecord(1L << 50, bytes(""), bytes(""))));
        System.out.println("[\n" + String.join(",\n", out) + "\n]");
    }

    static void read() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(records(MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(line)))));
        }
    }

    static SimpleRecord[] plain(byte magic) {
        Header[] headers = magic < 2 ? new Header[0]
            : new Header[] { new RecordHeader("trace", bytes("a1")), new RecordHeader("grüße", null), new RecordHeader("", bytes("")) };
        long t = magic == 0 ? -1 : T;
        return new SimpleRecord[] {
            new SimpleRecord(t, bytes("key"), bytes("value"), headers),
            new SimpleRecord(magic == 0 ? -1 : T + 5, null, bytes("no key")),
            new SimpleRecord(magic == 0 ? -1 : T - 3, bytes("tombstone"), null),
        };
    }

    static SimpleRecord[] many(byte magic) {
        SimpleRecord[] records = new SimpleRecord[40];
        for (int i = 0; i < records.length; i++) {
            records[i] = new SimpleRecord(magic == 0 ? -1 : T + i, bytes("k" + i), bytes("{\"id\":" + i + ",\"name\":\"the same in every record\"}"));
        }
        return records;
    }

    static void add(String name, MemoryRecords records) {
        byte[] all = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(all);
        out.add("{\"name\":\"" + name + "\",\n \"hex\":\"" + HexFormat.of().formatHex(all) + "\",\n \"batches\":" + records(records) + "}");
    }

    /** Every batch with its header fields and records, as Kafka sees them after checking the checksum. */
    static String records(MemoryRecords records) {
        List<String> batches = new ArrayList<>();
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            List<String> list = new ArrayList<>();
            for (Record record : batch) {
                record.ensureValid();
                list.add("{\"offset\":" + record.offset() + ",\"timestampMs\":" + record.timestamp()
                    + ",\"key\":" + hex(record.hasKey() ? record.key() : null) + ",\"value\":" + hex(record.hasValue() ? record.value() : null)
                    + ",\"headers\":" + headers(record) + "}");
            }
            boolean old = batch.magic() < RecordBatch.MAGIC_VALUE_V2;
            batches.add("{\"magic\":" + batch.magic() + ",\"baseOffset\":" + batch.baseOffset() + ",\"lastOffset\":" + batch.lastOffset()
                + ",\"sizeInBytes\":" + batch.sizeInBytes() + ",\"compression\":" + batch.compressionType().id
                + ",\"timestampType\":\"" + batch.timestampType().name + "\",\"maxTimestamp\":" + batch.maxTimestamp()
                + ",\"producerId\":" + batch.producerId() + ",\"producerEpoch\":" + batch.producerEpoch()
                + ",\"baseSequence\":" + batch.baseSequence() + ",\"lastSequence\":" + batch.lastSequence()
                + ",\"isTransactional\":" + batch.isTransactional() + ",\"isControl\":" + batch.isControlBatch()
                + ",\"partitionLeaderEpoch\":" + (old ? -1 : batch.partitionLeaderEpoch())
                + ",\"records\":[" + String.join(",", list) + "]}");
        }
        return "[" + String.join(",", batches) + "]";
    }

    static String headers(Record record) {
        List<String> list = new ArrayList<>();
        for (Header header : record.headers()) {
            list.add("{\"key\":\"" + header.key() + "\",\"value\":" + hex(header.value() == null ? null : ByteBuffer.wrap(header.value())) + "}");
        }
        return "[" + String.join(",", list) + "]";
    }

    static String hex(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] all = new byte[buffer.remaining()];
        buffer.duplicate().get(all);
        return "\"" + HexFormat.of().formatHex(all) + "\"";
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
