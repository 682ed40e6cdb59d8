// A program without any hardening, for hardening_test to find out.
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  char name[16];
  std::strcpy(name, argc > 1 ? "given" : argv[0] != nullptr ? "started" : "nobody");
  std::puts(name);
}
