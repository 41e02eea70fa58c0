#include "cache/sqlite_connection.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <utility>

namespace imgcachefs {
namespace {

Error sqlite_error(sqlite3* connection, int code) {
  ErrorKind kind = ErrorKind::kIo;
  switch (code & 0xff) {  // the primary code of an extended one
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      kind = ErrorKind::kBusy;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      kind = ErrorKind::kCorrupt;
      break;
    case SQLITE_FULL:
      kind = ErrorKind::kNoSpace;
      break;
    default:
      break;
  }
  // After open_v2 has failed for want of memory there is no connection to ask.
  const char* words = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  const int sys_errno = connection != nullptr ? sqlite3_system_errno(connection) : 0;
  return Error{kind, fmt::format("cache.db: {}", words), kind == ErrorKind::kIo ? sys_errno : 0};
}

int bind(sqlite3_stmt* statement, int index, const SqliteValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return sqlite3_bind_int64(statement, index, *integer);
  if (const auto* real = std::get_if<double>(&value))
    return sqlite3_bind_double(statement, index, *real);
  if (const auto* text = std::get_if<std::string_view>(&value))
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  return sqlite3_bind_null(statement, index);
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Status SqliteStatement::start(std::initializer_list<SqliteValue> values) {
  sqlite3_reset(statement_.get());  // repeats the error of the last step; that one was reported
  int index = 0;
  for (const SqliteValue& value : values)
    if (int code = bind(statement_.get(), ++index, value); code != SQLITE_OK)
      return fail(sqlite_error(sqlite3_db_handle(statement_.get()), code));
  return next();
}

Status SqliteStatement::next() {
  const int code = sqlite3_step(statement_.get());
  has_row_ = code == SQLITE_ROW;
  if (code == SQLITE_ROW) return {};
  if (code != SQLITE_DONE) return fail(sqlite_error(sqlite3_db_handle(statement_.get()), code));
  // Ended: reset now, for a statement that is not reset keeps its read lock.
  sqlite3_reset(statement_.get());
  return {};
}

void SqliteStatement::stop() {
  sqlite3_reset(statement_.get());
  has_row_ = false;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double SqliteStatement::real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

std::string SqliteStatement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void SqliteConnection::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

Result<SqliteConnection> SqliteConnection::open_with(const std::string& name, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  SqliteConnection connection;
  connection.connection_.reset(raw);  // also of a failed open
  if (code != SQLITE_OK) return fail(sqlite_error(raw, code));
  sqlite3_extended_result_codes(raw, 1);
  return connection;
}

Result<SqliteConnection> SqliteConnection::open(const std::string& path, bool create, int busy_ms) {
  auto connection = open_with(path, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0));
  if (connection) sqlite3_busy_timeout(connection->connection_.get(), busy_ms);
  return connection;
}

Result<SqliteConnection> SqliteConnection::open_in_memory() {
  return open_with(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
}

Result<SqliteConnection> SqliteConnection::open_as_it_is(const std::string& path) {
  std::string uri = "file:";
  for (const unsigned char c : path) {
    if (c == '%' || c == '?' || c == '#')
      uri += fmt::format("%{:02x}", c);
    else
      uri += static_cast<char>(c);
  }
  return open_with(uri + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

Result<SqliteStatement> SqliteConnection::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      &raw, nullptr);
  SqliteStatement statement(raw);
  if (code != SQLITE_OK) return fail(sqlite_error(connection_.get(), code));
  return statement;
}

Status SqliteConnection::run(std::string_view sql, std::initializer_list<SqliteValue> values) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  auto status = statement->start(values);
  while (status && statement->has_row()) status = statement->next();
  return status;
}

bool SqliteConnection::is_read_only() const {
  return sqlite3_db_readonly(connection_.get(), "main") != 0;
}

int SqliteConnection::changes() const {
  return sqlite3_changes(connection_.get());
}

Result<SqliteTransaction> SqliteTransaction::begin(SqliteConnection& connection) {
  // IMMEDIATE: the lock is waited for here, where waiting is safe. A transaction that begins as a
  // reader and then wants to write can meet another such one, and SQLite fails both at once.
  if (auto begun = connection.run("BEGIN IMMEDIATE"); !begun) return fail(begun.error());
  return SqliteTransaction(connection);
}

SqliteTransaction::SqliteTransaction(SqliteTransaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

SqliteTransaction::~SqliteTransaction() {
  // Its own failure changes nothing: SQLite has rolled back already by then.
  if (connection_ != nullptr) (void)connection_->run("ROLLBACK");
}

Status SqliteTransaction::commit() {
  auto committed = connection_->run("COMMIT");
  if (committed) connection_ = nullptr;
  return committed;
}

}  // namespace imgcachefs
