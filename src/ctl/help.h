// What imgcachectl says of itself: of all verbs on one screen, and of each with examples.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace imgcachefs {

std::string help_of_all(const CLI::App& app);
std::string help_of_verb(const CLI::App& verb);

}  // namespace imgcachefs
