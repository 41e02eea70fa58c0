#include "support/certificate.h"

#include <cstdlib>
#include <stdexcept>

namespace imgcachefs::test {

Certificate make_certificate(const TempDir& dir, const std::string& name) {
  Certificate made{dir.file(name + ".pem"), dir.file(name + ".key")};
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
      " -subj '/CN=" +
      name + "' -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' -keyout '" + made.key_file +
      "' -out '" + made.cert_file + "' >/dev/null 2>&1 </dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl req failed: " + command);
  return made;
}

}  // namespace imgcachefs::test
