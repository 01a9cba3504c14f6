// Prints every error code of the protocol as the classes know it: code, name, whether clients retry.
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

public final class ErrorTable {
  public static void main(String[] args) {
    for (Errors error : Errors.values()) {
      System.out.println(error.code() + " " + error.name() + " " + (error.exception() instanceof RetriableException));
    }
  }
}
