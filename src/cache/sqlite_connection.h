// SQLite as RAII and Result: a connection, a prepared statement, a transaction.
// sqlite_connection.cc is the only file that sees sqlite3.h. Not thread-safe: SqliteIndex puts its
// mutex around it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace imgcachefs {

// nullptr is NULL. Text must live until the statement has stepped.
using SqliteValue = std::variant<std::nullptr_t, int64_t, double, std::string_view>;

class SqliteStatement {
 public:
  // Runs it from the start with these values for its ?; it is at its first row then, if any.
  Status start(std::initializer_list<SqliteValue> values = {});
  bool has_row() const { return has_row_; }
  Status next();
  void stop();  // before the last row, when no more are wanted: lets go of the read lock

  // Columns of the row it is at, from 0. NULL reads as 0 and "".
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  friend class SqliteConnection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  bool has_row_ = false;
};

class SqliteConnection {
 public:
  // kNotFound when there is no such file and not `create`. Whether it is a database at all shows at
  // the first statement. Waits up to `busy_ms` for others' transactions, then kBusy.
  static Result<SqliteConnection> open(const std::string& path, bool create, int busy_ms);

  static Result<SqliteConnection> open_in_memory();
  // For reading only, whatever lies beside the file: no lock is taken and nothing is played back.
  static Result<SqliteConnection> open_as_it_is(const std::string& path);

  Result<SqliteStatement> prepare(std::string_view sql);
  Status run(std::string_view sql, std::initializer_list<SqliteValue> values = {});  // rows dropped
  bool is_read_only() const;  // the file may only be read: it was opened all the same
  int changes() const;        // rows the last INSERT, UPDATE or DELETE touched

 private:
  static Result<SqliteConnection> open_with(const std::string& name, int flags);

  struct Close {
    void operator()(sqlite3* connection) const;
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

// A write transaction; rolled back unless commit() succeeded.
class SqliteTransaction {
 public:
  static Result<SqliteTransaction> begin(SqliteConnection& connection);
  SqliteTransaction(SqliteTransaction&& other) noexcept;
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();

  Status commit();

 private:
  explicit SqliteTransaction(SqliteConnection& connection) : connection_(&connection) {}
  SqliteConnection* connection_;  // nullptr: over
};

}  // namespace imgcachefs
