// Judges the codecs by Kafka's own classes. Reads framed questions from stdin, answers framed to stdout, until stdin ends.
// Question: int32 size, then op byte, class name, int16 version, then the rest. Answer: int32 size, then 0 and the
// result, or 1 and the reason of the refusal.
//   V  versions of the class: int16 lowest, int16 highest (1 if there is no such class)
//   D  bytes to message: int32 bytes left over, int32 length and JSON, then the message encoded again
//   E  JSON to message: the message encoded
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public final class MessageOracle {
  private static final String[] PACKAGES = {
    "org.apache.kafka.common.message.",
    "org.apache.kafka.coordinator.group.generated.",
    "org.apache.kafka.coordinator.transaction.generated."
  };
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, Kind> KINDS = new HashMap<>();

  /** One message class with its converter. */
  private record Kind(Class<?> type, Method toJson, Method fromJson) {}

  public static void main(String[] args) throws Exception {
    DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 20));
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 20));
    while (true) {
      byte[] question;
      try {
        question = new byte[in.readInt()];
      } catch (EOFException end) {
        return;
      }
      in.readFully(question);
      byte[] answer = answer(question);
      out.writeInt(answer.length);
      out.write(answer);
      if (in.available() == 0) out.flush();
    }
  }

  private static byte[] answer(byte[] question) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(question));
    try {
      byte op = in.readByte();
      Kind kind = kind(in.readUTF());
      short version = in.readShort();
      byte[] rest = in.readAllBytes();
      out.writeByte(0);
      if (op == 'V') versions(kind, out);
      else if (op == 'D') decode(kind, version, rest, out);
      else out.write(encode((Message) call(kind.fromJson(), JSON.readTree(rest), version), version));
      return bytes.toByteArray();
    } catch (VirtualMachineError error) {
      throw error;
    } catch (Throwable refusal) {
      byte[] reason = String.valueOf(refusal).getBytes(StandardCharsets.UTF_8);
      byte[] answer = new byte[reason.length + 1];
      answer[0] = 1;
      System.arraycopy(reason, 0, answer, 1, reason.length);
      return answer;
    }
  }

  private static void versions(Kind kind, DataOutputStream out) throws Exception {
    Message message = (Message) kind.type().getConstructor().newInstance();
    out.writeShort(message.lowestSupportedVersion());
    out.writeShort(message.highestSupportedVersion());
  }

  private static void decode(Kind kind, short version, byte[] bytes, DataOutputStream out) throws Throwable {
    Message message = (Message) kind.type().getConstructor().newInstance();
    ByteBufferAccessor readable = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
    message.read(readable, version);
    byte[] json = JSON.writeValueAsBytes(call(kind.toJson(), message, version));
    out.writeInt(readable.remaining());
    out.writeInt(json.length);
    out.write(json);
    // A mutated message may be one that can be read and not written, such as one with a tag twice.
    try {
      out.write(encode(message, version));
    } catch (RuntimeException notWritable) {
      out.write(new byte[0]);
    }
  }

  private static byte[] encode(Message message, short version) {
    ObjectSerializationCache cache = new ObjectSerializationCache();
    ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
    message.write(new ByteBufferAccessor(buffer), cache, version);
    return buffer.array();
  }

  private static Object call(Method method, Object... arguments) throws Throwable {
    try {
      return method.invoke(null, arguments);
    } catch (InvocationTargetException wrapped) {
      throw wrapped.getCause();
    }
  }

  private static Kind kind(String name) throws Exception {
    Kind known = KINDS.get(name);
    if (known != null) return known;
    for (String prefix : PACKAGES) {
      for (String suffix : new String[] {"Data", ""}) {
        Class<?> type;
        try {
          type = Class.forName(prefix + name + suffix);
        } catch (ClassNotFoundException next) {
          continue;
        }
        Class<?> converter = Class.forName(type.getName() + "JsonConverter");
        Kind kind =
            new Kind(
                type,
                converter.getMethod("write", type, short.class),
                converter.getMethod("read", JsonNode.class, short.class));
        KINDS.put(name, kind);
        return kind;
      }
    }
    throw new ClassNotFoundException(name);
  }
}
