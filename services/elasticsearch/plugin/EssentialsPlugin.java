package dataflow.search;

import java.io.IOException;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.FilteringTokenFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.elasticsearch.Build;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.TransportAction;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.env.Environment;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.IndexVersion;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * What Elasticsearch's minimal distribution lacks for a single node with security.
 *
 * <p>The security index maps e-mail addresses with the token filters {@code pattern_capture} and
 * {@code unique} and the tokenizer {@code uax_url_email}, which live in a module that the
 * distribution leaves out; without them no role or user can be stored. {@code GET /} is how
 * clients recognise the server.
 */
public final class EssentialsPlugin extends Plugin implements AnalysisPlugin, ActionPlugin {

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "pattern_capture", AnalysisPlugin.requiresAnalysisSettings(PatternCapture::new),
            "unique", Unique::new
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email", UrlEmail::new);
    }

    @Override
    public Collection<ActionHandler> getActions() {
        return List.of(new ActionHandler(MainAction.TYPE, MainAction.class));
    }

    @Override
    public Collection<RestHandler> getRestHandlers(
        Settings settings,
        NamedWriteableRegistry namedWriteables,
        RestController controller,
        ClusterSettings clusterSettings,
        IndexScopedSettings indexSettings,
        SettingsFilter settingsFilter,
        IndexNameExpressionResolver indexNames,
        Supplier<DiscoveryNodes> nodesInCluster,
        Predicate<NodeFeature> clusterSupportsFeature
    ) {
        return List.of(new MainRestHandler());
    }

    /** Token filter: a token for each group that one of {@code patterns} captures. */
    private static final class PatternCapture extends AbstractTokenFilterFactory {
        private final Pattern[] patterns;
        private final boolean preserveOriginal;

        PatternCapture(IndexSettings index, Environment environment, String name, Settings settings) {
            super(name);
            List<String> expressions = settings.getAsList("patterns");
            if (expressions.isEmpty()) {
                throw new IllegalArgumentException("[patterns] is missing for the token filter [" + name + "]");
            }
            patterns = expressions.stream().map(Pattern::compile).toArray(Pattern[]::new);
            preserveOriginal = settings.getAsBoolean("preserve_original", true);
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return new PatternCaptureGroupTokenFilter(tokens, preserveOriginal, patterns);
        }
    }

    /** Token filter: the first of each set of equal tokens. */
    private static final class Unique extends AbstractTokenFilterFactory {

        Unique(IndexSettings index, Environment environment, String name, Settings settings) {
            super(name);
            if (settings.getAsBoolean("only_on_same_position", false)) {
                throw new IllegalArgumentException(
                    "[only_on_same_position] of the token filter [" + name + "] is not supported here"
                );
            }
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return new UniqueTokens(tokens);
        }
    }

    private static final class UniqueTokens extends FilteringTokenFilter {
        private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
        private final Set<String> seen = new HashSet<>();

        UniqueTokens(TokenStream tokens) {
            super(tokens);
        }

        @Override
        protected boolean accept() {
            return seen.add(term.toString());
        }

        @Override
        public void reset() throws IOException {
            super.reset();
            seen.clear();
        }
    }

    /** Tokenizer: words, with URLs and e-mail addresses kept whole. */
    private static final class UrlEmail extends AbstractTokenizerFactory {
        private final int maxTokenLength;

        UrlEmail(IndexSettings index, Environment environment, String name, Settings settings) {
            super(name);
            maxTokenLength = settings.getAsInt("max_token_length", StandardAnalyzer.DEFAULT_MAX_TOKEN_LENGTH);
        }

        @Override
        public Tokenizer create() {
            UAX29URLEmailTokenizer tokenizer = new UAX29URLEmailTokenizer();
            tokenizer.setMaxTokenLength(maxTokenLength);
            return tokenizer;
        }
    }

    /**
     * {@code GET /} and {@code HEAD /}. It goes through a transport action because only those are
     * authorized: a handler that answered by itself would serve every user who can log in.
     */
    private static final class MainRestHandler extends BaseRestHandler {

        @Override
        public String getName() {
            return "dataflow_main";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            return channel -> client.execute(MainAction.TYPE, new MainRequest(), new RestToXContentListener<>(channel));
        }
    }

    static final class MainRequest extends ActionRequest {

        @Override
        public ActionRequestValidationException validate() {
            return null;
        }
    }

    /** Who this node is, under the action name that the built-in privilege "monitor" covers. */
    public static final class MainAction extends TransportAction<MainRequest, MainResponse> {
        static final ActionType<MainResponse> TYPE = new ActionType<>("cluster:monitor/main");

        private final ClusterService clusterService;
        private final String node;

        @Inject
        public MainAction(
            Settings settings,
            TransportService transportService,
            ActionFilters filters,
            ClusterService clusterService
        ) {
            super(TYPE.name(), filters, transportService.getTaskManager(), EsExecutors.DIRECT_EXECUTOR_SERVICE);
            this.clusterService = clusterService;
            this.node = Node.NODE_NAME_SETTING.get(settings);
        }

        @Override
        protected void doExecute(Task task, MainRequest request, ActionListener<MainResponse> listener) {
            listener.onResponse(new MainResponse(node, clusterService.state()));
        }
    }

    static final class MainResponse extends ActionResponse implements ToXContentObject {
        private final String node;
        private final ClusterState state;

        MainResponse(String node, ClusterState state) {
            this.node = node;
            this.state = state;
        }

        @Override
        public void writeTo(StreamOutput out) {
            TransportAction.localOnly();
        }

        @Override
        public XContentBuilder toXContent(XContentBuilder json, Params params) throws IOException {
            Build build = Build.current();
            json.startObject();
            json.field("name", node);
            json.field("cluster_name", state.getClusterName().value());
            json.field("cluster_uuid", state.metadata().clusterUUID());
            json.startObject("version");
            json.field("number", build.qualifiedVersion());
            json.field("build_flavor", build.flavor());
            json.field("build_type", build.type().displayName());
            json.field("build_hash", build.hash());
            json.field("build_date", build.date());
            json.field("build_snapshot", build.isSnapshot());
            json.field("lucene_version", IndexVersion.current().luceneVersion().toString());
            json.field("minimum_wire_compatibility_version", build.minWireCompatVersion());
            json.field("minimum_index_compatibility_version", build.minIndexCompatVersion());
            json.endObject();
            json.field("tagline", "You Know, for Search");
            return json.endObject();
        }
    }
}
