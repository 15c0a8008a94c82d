// Lists the tests of SoftHSM2's p11test, or runs the one that is named, so that each has a process of its own.
// Some of them fork, and their own main prints what parent and child say in one stream.
#include <cppunit/Test.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TestFailure.h>
#include <cppunit/SourceLine.h>
#include <cppunit/Exception.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <cstdio>
#include <string>

static void walk(CppUnit::Test *test, const std::string &wanted, CppUnit::TestResult *result, int &ran) {
    if (test->getChildTestCount() == 0) {
        if (wanted.empty()) {
            std::printf("%s\n", test->getName().c_str());
        } else if (wanted == test->getName()) {
            ++ran;
            test->run(result);
        }
        return;
    }
    for (int i = 0; i < test->getChildTestCount(); ++i) {
        walk(test->getChildTestAt(i), wanted, result, ran);
    }
}

int main(int argc, char **argv) {
    CppUnit::Test *all = CppUnit::TestFactoryRegistry::getRegistry().makeTest();
    CppUnit::TestResult result;
    CppUnit::TestResultCollector collector;
    result.addListener(&collector);
    int ran = 0;
    walk(all, argc > 1 ? argv[1] : "", &result, ran);
    if (argc < 2) {
        return 0;
    }
    for (CppUnit::TestFailure *failure : collector.failures()) {
        std::printf("%s:%d %s %s\n", failure->sourceLine().fileName().c_str(), failure->sourceLine().lineNumber(),
                    failure->thrownException()->message().shortDescription().c_str(),
                    failure->thrownException()->message().details().c_str());
    }
    return ran > 0 && collector.wasSuccessful() ? 0 : 1;
}
