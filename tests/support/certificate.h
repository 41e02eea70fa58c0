// Throw-away TLS certificates, made with the openssl command.
#pragma once

#include <string>

#include "support/temp_dir.h"

namespace imgcachefs::test {

struct Certificate {
  std::string cert_file, key_file;  // PEM
};

// A self-signed certificate for 127.0.0.1 and localhost, good for a server as well as for a client;
// its own cert_file is the CA to trust. Throws std::runtime_error when openssl fails.
Certificate make_certificate(const TempDir& dir, const std::string& name);

}  // namespace imgcachefs::test
