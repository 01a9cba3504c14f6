// Judges produced batches with the code of Kafka's own broker: one line "compacted(0|1) hex" in, one line
// "error code,indexes of refused records,largest timestamp" out. Needs the jars of a Kafka 4.3 broker:
//   java -cp '.tools/kafka/libs/*' test/records/golden/KafkaValidates.java
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

public class KafkaValidates {
    static final LogValidator.MetricsRecorder NO_METRICS = new LogValidator.MetricsRecorder() {
        public void recordInvalidMagic() { }
        public void recordInvalidOffset() { }
        public void recordInvalidSequence() { }
        public void recordInvalidChecksums() { }
        public void recordNoKeyCompactedTopic() { }
    };

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            boolean compacted = line.charAt(0) == '1';
            out.append(judge(HexFormat.of().parseHex(line.substring(2)), compacted)).append('\n');
        }
        System.out.print(out);
    }

    static String judge(byte[] bytes, boolean compacted) {
        try {
            return "0,," + validate(MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)), compacted);
        } catch (RecordValidationException e) {
            String indexes = e.recordErrors().stream().map(error -> "" + error.batchIndex).collect(Collectors.joining(" "));
            return Errors.forException(e.invalidException()).code() + "," + indexes + ",";
        } catch (Throwable e) {
            return Errors.forException(e).code() + ",,";
        }
    }

    /** The steps of ProduceRequest, UnifiedLog.analyzeAndValidateRecords and LogValidator, in their order. */
    static long validate(MemoryRecords records, boolean compacted) {
        ProduceRequest.validateRecords((short) 9, records);
        CompressionType source = CompressionType.NONE;
        int validBytes = 0;
        for (MutableRecordBatch batch : records.batches()) {
            if (batch.baseOffset() != 0) throw new InvalidRecordException("base offset");
            if (!batch.isValid()) throw new CorruptRecordException("checksum");
            if (batch.compressionType() != CompressionType.NONE) source = batch.compressionType();
            validBytes += batch.sizeInBytes();
        }
        ByteBuffer valid = records.buffer().duplicate();
        valid.limit(valid.position() + validBytes);
        LogValidator validator = new LogValidator(MemoryRecords.readableRecords(valid), new TopicPartition("t", 0), Time.SYSTEM,
            source, Compression.of(source).build(), compacted, (byte) 2, TimestampType.CREATE_TIME, Long.MAX_VALUE, Long.MAX_VALUE, 0, AppendOrigin.CLIENT);
        return validator.validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(0), NO_METRICS, BufferSupplier.create()).maxTimestampMs();
    }
}
