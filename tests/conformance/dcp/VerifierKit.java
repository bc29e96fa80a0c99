import java.io.FileReader;
import java.util.Properties;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs the kit's tests of a verifier and prints, for each, a line: RESULT, how it ended, the test's method, and why. */
public final class VerifierKit {
    public static void main(String[] arguments) throws Exception {
        var properties = new Properties();
        try (var file = new FileReader(arguments[0])) {
            properties.load(file);
        }
        for (var name : properties.stringPropertyNames()) {
            System.setProperty(name, properties.getProperty(name));
        }
        System.setProperty("dataspacetck.launcher", "org.eclipse.dataspacetck.dcp.system.DcpSystemLauncher");
        var tests = DiscoverySelectors.selectPackage("org.eclipse.dataspacetck.dcp.verification.presentation.verifier");
        LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request().selectors(tests).build(), new Lines());
        System.exit(0);
    }

    private static final class Lines implements TestExecutionListener {
        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            print("SKIPPED", test, reason);
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            var passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            if (test.isTest() || !passed) {
                print(passed ? "PASSED" : "FAILED", test, result.getThrowable().map(Throwable::toString).orElse(""));
            }
        }

        private void print(String ending, TestIdentifier test, String why) {
            var name = test.getSource().filter(MethodSource.class::isInstance).map(MethodSource.class::cast).map(MethodSource::getMethodName);
            System.out.println("RESULT\t" + ending + "\t" + name.orElse(test.getDisplayName()) + "\t" + why.replaceAll("\\s+", " "));
        }
    }
}
