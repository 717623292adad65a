import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;

/** One connection, which a shutdown hook closes if ON_SIGTERM is set. */
public class Handler {
  private static final Connection CONNECTION = open();

  public Object handleRequest(Object event) throws SQLException {
    try (ResultSet rows = CONNECTION.createStatement().executeQuery("SELECT 1")) {
      rows.next();
      return rows.getInt(1);
    }
  }

  private static Connection open() {
    String address = String.format(
        "jdbc:mariadb://%s:%s/%s", System.getenv("DB_HOST"), System.getenv("DB_PORT"), System.getenv("DB_NAME"));
    try {
      Connection connection =
          DriverManager.getConnection(address, System.getenv("DB_USER"), System.getenv("DB_PASSWORD"));
      if (System.getenv("ON_SIGTERM") != null) Runtime.getRuntime().addShutdownHook(new Thread(Handler::close));
      return connection;
    } catch (SQLException error) {
      throw new IllegalStateException(error);
    }
  }

  private static void close() {
    try {
      CONNECTION.close();
    } catch (SQLException error) {
      System.err.println(error);
    }
  }
}
