import static org.junit.platform.engine.discovery.ClassNameFilter.includeClassNamePatterns;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectPackage;

import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs every test of the Dataspace Protocol TCK against the connector that a properties file names, and says of each how it ended. */
public final class Kit {
    private static final String TESTS = "org.eclipse.dataspacetck.dsp.verification";
    private static final String LAUNCHER = "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher";

    /** Takes the properties file and, to look into single tests, the beginning of their names. */
    public static void main(String[] arguments) throws Exception {
        var settings = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        settings.forEach((key, value) -> System.setProperty((String) key, (String) value));
        System.setProperty("dataspacetck.launcher", LAUNCHER);
        var only = arguments.length > 1 ? arguments[1] : "";
        LauncherDiscoveryRequest tests = LauncherDiscoveryRequestBuilder.request()
                .selectors(selectPackage(TESTS))
                .filters(includeClassNamePatterns(".*Test"))
                .filters((PostDiscoveryFilter) found ->
                        FilterResult.includedIf(!found.isTest() || found.getDisplayName().startsWith(only)))
                .build();
        LauncherFactory.create().execute(tests, new Results());
        System.exit(0);
    }

    private static final class Results implements TestExecutionListener {
        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            say("SKIPPED", test, reason);
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            var failed = result.getStatus() != TestExecutionResult.Status.SUCCESSFUL;
            if (test.isTest() || failed) {
                say(failed ? "FAILED" : "PASSED", test, result.getThrowable().map(Kit::inOneLine).orElse(""));
            }
            if (failed) {
                result.getThrowable().ifPresent(error -> error.printStackTrace(System.out));
            }
        }

        private static void say(String how, TestIdentifier test, String why) {
            System.out.println("RESULT\t" + how + "\t" + test.getDisplayName() + "\t" + why);
        }
    }

    private static String inOneLine(Throwable error) {
        return String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
    }
}
