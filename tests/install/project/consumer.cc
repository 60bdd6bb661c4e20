/* consumer.cc - operator new, containers and threads of a C++ program that links an installed hakmem. */
#include <hakmem/hakmem.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

static bool is_ours(const void *p)
{
    if (hak_owns(p))
        return true;
    std::cerr << "consumer: not hakmem's: " << p << "\n";
    return false;
}

int main()
{
    bool good = true;
    std::vector<std::string> lines(1000, std::string(100, 'x'));
    int *volatile number = new int(7);

    good &= is_ours(lines.data());
    good &= is_ours(lines.back().data());
    good &= is_ours(number);
    delete number;

    bool good_in_thread = false;
    std::thread([&] { good_in_thread = is_ours(std::string(5000, 'y').data()); }).join();
    std::cout << hak_version() << "\n";
    return good && good_in_thread ? 0 : 1;
}
